// Builds elements; text only ever goes in as text, so that no file name can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes, `on*` listeners, `class`, `data` and `style` objects, then children. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value" || name === "checked" || name === "muted") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const PATHS = {
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.3 15.3 20 20",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "m6 6 12 12M18 6 6 18",
  attach: "M4 16.5V7a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2.5Zm0 0 4.5-4.5 3.5 3.5 3-3 5 5M15 9.2h.01",
  mic: "M12 14.5a3 3 0 0 0 3-3V6a3 3 0 1 0-6 0v5.500a3 3 0 0 0 3 3ZM5.500 11.500a6.500 6.500 0 0 0 13 0M12 18v3",
  stop: "M7 7h10v10H7z",
  crop: "M7 3v14h14M3 7h14v14",
  play: "M8 5.500v13l10.500-6.500z",
  pause: "M8 5.500v13M16 5.500v13",
  image: "M4 6a1.500 1.500 0 0 1 1.500-1.500h13A1.500 1.500 0 0 1 20 6v12a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 18Zm0 10.500 4.500-4.500 3.500 3.500 3-3 5 5M15 9h.01",
  audio: "M4 10v4M8 7v10M12 4v16M16 8v8M20 10.500v3",
  video: "M4 6.500A1.500 1.500 0 0 1 5.500 5h9A1.500 1.500 0 0 1 16 6.500v11a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 4 17.500ZM16 10.500l4.500-3v9l-4.500-3",
  text: "M6 5h12M6 9.700h12M6 14.300h12M6 19h7",
  id: "M12 4.500v15M4.500 12h15M7 7l10 10M17 7 7 17",
  filter: "M4 6h16M7 12h10M10.500 18h3",
  copy: "M9 9h10v10H9zM5 15V5h10",
  download: "M12 4v11m0 0 4.500-4.500M12 15l-4.500-4.500M5 19.500h14",
  open: "M14 5h5v5M19 5l-8 8M17 14v5H5V7h5",
  sun: "M12 16.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
  moon: "M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10Z",
  tag: "M4 5v6.500l8 8 7-7-8-8H4ZM8 8.700h.01",
  keyboard: "M3.500 7h17v10.500h-17zM7 10.500h.01M10.300 10.500h.01M13.700 10.500h.01M17 10.500h.01M8 14h8",
  left: "m14.500 5.500-6.500 6.500 6.500 6.500",
  right: "m9.500 5.500 6.500 6.500-6.500 6.500",
  lasso: "M12 5c4.700 0 8.500 2.200 8.500 5s-3.800 5-8.500 5-8.500-2.200-8.500-5S7.300 5 12 5ZM8 14.500c-2 .5-2.500 2.500-1 3.500s1 3-.5 3",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  refresh: "M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9m0-5v5h-5",
  warning: "M12 4 2.800 19.500h18.400L12 4ZM12 10v4.500M12 17h.01",
  hide: "M4 4l16 16M9.900 5.300A9.600 9.600 0 0 1 12 5c5.500 0 9 7 9 7a15 15 0 0 1-2.500 3.400M6.300 6.800A14.700 14.700 0 0 0 3 12s3.500 7 9 7a9 9 0 0 0 4.300-1.100",
  map: "M3.500 6.500 9 4l6 2.500L20.500 4v13.500L15 20l-6-2.500L3.500 20ZM9 4v13.500M15 6.500V20",
  activity: "M3.500 12.500h4l2.500-7 4 13 2.500-6h4",
};

/** A stroked icon; decorative, so that its button needs a label. */
// What a plug adds looks like the built-in modality that it resembles.
const ALIKE = { depth: "image", normal: "image", points: "image", imu: "audio" };

export function icon(name, size = 20) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", width: size, height: size, class: `icon icon--${name}`, "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] ?? PATHS[ALIKE[name]] ?? PATHS.text }),
  );
}

export function iconButton(name, label, onclick, attributes = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

/** Says something that passes: done, failed. */
export function toast(text, { hint = "", kind = "info", undo = null } = {}) {
  const button = undo ? el("button", { type: "button", class: "toast__button", onclick: () => (undo(), box.remove()) }, "Undo") : null;
  const box = el("div", { class: `toast toast--${kind}` }, el("p", {}, text, button), hint ? el("p", { class: "toast__hint" }, hint) : null);
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), undo ? 15_000 : kind === "error" ? 9000 : 4000);
}

/** A path that breaks between its parts, not within a name. */
export function pathText(path) {
  return el("span", { class: "path" }, path.split(/(?<=[/\\])/).flatMap((part) => [part, el("wbr")]));
}

export function clear(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return element;
}

export function debounce(wait, call) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
