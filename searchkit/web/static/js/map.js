// The library as a plane: points drawn on canvas, zoomed, dragged, and chosen with a lasso.

import { get, post, thumbnailUrl } from "./api.js";
import { clear, debounce, el, icon, iconButton } from "./dom.js";
import { modalitiesOf, number, plural } from "./format.js";
import { Grid } from "./grid.js";
import { Plane } from "./plane.js";
import { act, goodSegments } from "./search.js";
import { ask, state } from "./state.js";

const POLL_MS = 700;
const MOST_SHOWN = 200;
const MOST_TERMS = 12;

const canvas = el("canvas", { class: "map__canvas", tabindex: "0", role: "img", "aria-label": "Map of the library" });
const tip = el("div", { class: "map__tip", hidden: true });
const note = el("p", { class: "map__panel map__note", role: "status" });
const chosen = el("div", { class: "map__chosen", hidden: true });
const legend = el("div", { class: "map__panel map__legend", role: "group", "aria-label": "Kinds shown" });
const lassoButton = iconButton("lasso", "Choose points with a lasso (or hold Shift and drag)", () => setLasso(!plane.lassoing), { "aria-pressed": "false" });
const plane = new Plane(canvas, { onChoose: choose, onHover: debounce(60, hover), onOpen: openPoint });
let view = null;
let version = "";
let timer = 0;
const seen = new Map();

export function showMap(root) {
  view = root;
  if (!root.firstChild) {
    root.append(
      el(
        "div",
        { class: "map" },
        canvas,
        tip,
        note,
        el("div", { class: "map__panel map__tools", role: "group", "aria-label": "Map tools" }, lassoButton, iconButton("plus", "Zoom in", () => plane.zoom(1.5)), iconButton("minus", "Zoom out", () => plane.zoom(1 / 1.5)), iconButton("fit", "Show everything", () => plane.fit())),
        legend,
        chosen,
      ),
    );
    canvas.addEventListener("keydown", onKey);
    document.addEventListener("theme", () => plane.recolour());
    document.addEventListener("results", mark);
  }
  mark();
  plane.resize();
  post("/v1/map", {}).then(follow).catch(fail);
}

/** Rings around what the search found. */
function mark() {
  plane.mark(state.terms.length || state.words ? goodSegments() : []);
}

async function follow(info) {
  clearTimeout(timer);
  if (view.hidden) return;
  note.hidden = false;
  if (info.state === "computing") note.textContent = `Laying the library out: ${Math.round(info.share_done * 100)} %`;
  else if (info.state === "failed") note.textContent = `The map could not be laid out: ${info.reason}`;
  else note.hidden = true;
  if (info.points) await load();
  if (info.state === "computing") timer = setTimeout(() => get("/v1/map").then(follow).catch(fail), POLL_MS);
  else if (!info.points && info.state === "ready") fail({ message: "The library is empty: there is nothing to lay out" });
}

function fail(problem) {
  note.hidden = false;
  note.textContent = problem.message;
}

/** Reads the packed points; see searchkit/web/map.py. */
async function load() {
  const packed = await get("/v1/map/points");
  const count = new DataView(packed).getUint32(0, true);
  const headLength = new DataView(packed).getUint32(4, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(packed, 8, headLength)));
  if (head.fingerprint === version) return;
  version = head.fingerprint;
  let at = 8 + headLength;
  const take = (Kind) => {
    const values = new Kind(packed, at, count);
    at += values.byteLength;
    return values;
  };
  const points = { count, modalities: head.modalities, ids: take(Float64Array), assets: take(Float64Array), xs: take(Int16Array), ys: take(Int16Array), kinds: take(Uint8Array) };
  plane.show(points);
  canvas.setAttribute("aria-label", `Map of the library, ${plural(count, "point")}. Arrow keys move, plus and minus zoom, A chooses what is in view.`);
  drawLegend(points);
}

function drawLegend(points) {
  const counts = new Array(points.modalities.length).fill(0);
  for (const kind of points.kinds) counts[kind] += 1;
  clear(
    legend,
    modalitiesOf(points.modalities).filter(([modality]) => counts[points.modalities.indexOf(modality)]).map(([modality, label]) => {
      const kind = points.modalities.indexOf(modality);
      const box = el("input", { type: "checkbox", checked: true, onchange: () => plane.toggle(kind, box.checked) });
      return el("label", { class: `is-${modality}` }, box, el("span", {}, `${label} ${number(counts[kind])}`));
    }),
  );
}

function setLasso(on) {
  plane.lassoing = on;
  lassoButton.setAttribute("aria-pressed", String(on));
  canvas.classList.toggle("is-lasso", on);
}

function onKey(event) {
  const [dx, dy] = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key] ?? [0, 0];
  if (dx || dy) plane.pan(dx, dy);
  else if (event.key === "+" || event.key === "=") plane.zoom(1.3);
  else if (event.key === "-") plane.zoom(1 / 1.3);
  else if (event.key === "0") plane.fit();
  else if (event.key === "a") choose(plane.visible());
  else if (event.key === "Escape") choose([]);
  else return;
  event.preventDefault();
}

function segment(id) {
  if (!seen.has(id)) {
    seen.set(id, get(`/v1/segments/${id}`));
    seen.get(id).catch(() => seen.delete(id));
  }
  return seen.get(id);
}

function asResult({ segment: span, asset }) {
  return { ...asset, segment_id: span.segment_id, start_s: span.start_s, end_s: span.end_s, text: span.text, score: null, match: null, copies: [] };
}

async function hover(index, x, y) {
  if (index < 0) {
    tip.hidden = true;
    return;
  }
  const id = plane.points.ids[index];
  let found;
  try {
    found = await segment(id);
  } catch {
    return;
  }
  if (plane.hovered !== index) return;
  const { asset, segment: span } = found;
  const picture = asset.modality === "image" || asset.modality === "video" ? el("img", { src: thumbnailUrl(id, 320), alt: "", onerror: (event) => event.target.remove() }) : null;
  clear(tip, picture, el("p", {}, asset.name), span.text ? el("p", { class: "map__words" }, span.text.slice(0, 160)) : null);
  tip.hidden = false;
  const bounds = canvas.getBoundingClientRect();
  tip.style.left = `${Math.min(x + 16, bounds.width - 206)}px`;
  tip.style.top = `${y + 180 > bounds.height ? y - 176 : y + 16}px`;
}

async function openPoint(index) {
  act("open", asResult(await segment(plane.points.ids[index])));
}

async function choose(indices) {
  setLasso(false);
  plane.choose(indices);
  chosen.hidden = indices.length === 0;
  tip.hidden = true;
  if (!indices.length) {
    chosen.replaceChildren();
    return;
  }
  const grid = new Grid({ act, label: "Chosen points" });
  // A file once, by its first segment; evenly thinned when there are many.
  const firsts = [...new Map(indices.map((index) => [plane.points.assets[index], index])).values()];
  const step = Math.max(1, Math.ceil(firsts.length / MOST_SHOWN));
  const shown = firsts.filter((_, at) => at % step === 0);
  clear(
    chosen,
    el(
      "header",
      {},
      el("h2", {}, `${plural(firsts.length, "file")} chosen${step > 1 ? `, ${number(shown.length)} shown` : ""}`),
      el("button", { type: "button", class: "button button--main", onclick: () => searchLike(indices) }, icon("search", 16), "Search for more like these"),
      iconButton("close", "Choose nothing", () => choose([])),
    ),
    el("div", {}, grid.element),
  );
  const found = await Promise.all(shown.map((index) => segment(plane.points.ids[index]).catch(() => null)));
  grid.add(found.filter(Boolean).map(asResult));
}

/** The sum of some chosen segments, spread evenly over the choice. */
function searchLike(indices) {
  const step = Math.max(1, indices.length / MOST_TERMS);
  const picked = [];
  for (let at = 0; at < indices.length && picked.length < MOST_TERMS; at += step) picked.push(plane.points.ids[indices[Math.floor(at)]]);
  state.words = "";
  state.terms = picked.map((id) => ({ kind: "id", value: String(id), weight: 1, start_s: null, end_s: null }));
  choose([]);
  document.dispatchEvent(new Event("terms"));
  ask({ push: true });
}
