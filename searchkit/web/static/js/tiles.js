// One result as a tile of the grid; the tile opens its preview, its buttons steer the search.

import { thumbnailUrl } from "./api.js";
import { el, icon, iconButton } from "./dom.js";
import { clock, spanText } from "./format.js";
import { soundPlayer } from "./player.js";

const LEAST_ASPECT = 0.56;
const MOST_ASPECT = 2.4;
const SOUND_ASPECT = 1.8;
const TEXT_ASPECT = 1.35;
const COMMON = new Set("the and for with from that this into over under are was has not its his her".split(" "));

/** How wide a result wants to be for its height. */
export function aspectOf(result) {
  if (result.modality === "audio") return SOUND_ASPECT;
  if (result.modality === "text" || !result.width_px || !result.height_px) return TEXT_ASPECT;
  return Math.min(MOST_ASPECT, Math.max(LEAST_ASPECT, result.width_px / result.height_px));
}

/** Words for a screen reader: name, kind, span, how sure. */
export function spoken(result) {
  const kind = { image: "photo", audio: "sound", video: "video", text: "text" }[result.modality] ?? result.modality;
  const span = result.start_s === null ? "" : `, ${spanText(result.start_s, result.end_s)}`;
  const match = result.match === null || result.match === undefined ? "" : `, ${Math.round(result.match * 100)} percent match`;
  return `${result.name}, ${kind}${span}${match}`;
}

/** As `searchkit query` has it: likely enough, found by its name or by words, or beyond judgement. */
export function isGood(result, cutoff) {
  const byWords = (result.found_by ?? []).some((way) => way !== "vectors");
  return result.match === null || result.match === undefined || result.match >= cutoff || byWords;
}

/** The calibrated bar: how likely it is a match; the raw score where nothing is known. */
export function scoreBar(result, good = true) {
  if (result.score === null) return null;
  if (result.match === null || result.match === undefined) {
    return el("span", { class: "score score--raw", title: "Cosine of the query and this; too little is known to say how likely a match is" }, result.score.toFixed(2));
  }
  const share = Math.round(result.match * 100);
  return el(
    "span",
    { class: `score${good ? "" : " score--weak"}`, title: `${share} % likely to be a match (cosine ${result.score.toFixed(3)})` },
    el("span", { class: "score__bar", "aria-hidden": "true" }, el("span", { class: "score__fill", style: { width: `${share}%` } })),
    el("span", { class: "score__text" }, `${share} %`),
  );
}

/** A list element; `act(name, result)` hears of open, more, less. */
export function tile(result, index, act, words, good) {
  const sound = result.modality === "audio" ? soundPlayer(result) : null;
  const badge = result.start_s !== null && result.modality !== "text" ? clock(result.start_s) : result.modality === "video" && result.duration_s ? clock(result.duration_s) : null;
  const open = el(
    "button",
    { type: "button", class: "tile__open", "aria-label": spoken(result), tabindex: index === 0 ? "0" : "-1", onclick: () => act("open", result) },
    sound ? null : face(result, words),
  );
  const element = el(
    "li",
    { class: `tile tile--${result.modality}`, data: { segment: String(result.segment_id) }, draggable: "true" },
    el(
      "div",
      { class: "tile__face" },
      open,
      sound ? el("div", { class: "tile__sound" }, sound.element) : null,
      badge && result.modality === "video" ? el("span", { class: "tile__badge" }, icon("play", 12), badge) : null,
      el(
        "div",
        { class: "tile__actions" },
        iconButton("plus", "More like this", () => act("more", result), { tabindex: "-1" }),
        iconButton("minus", "Less like this", () => act("less", result), { tabindex: "-1" }),
        iconButton("hide", "Not a match", () => act("not", result), { tabindex: "-1" }),
      ),
    ),
    el("div", { class: "tile__line" }, el("span", { class: `tile__kind is-${result.modality}` }, icon(result.modality, 14)), el("span", { class: "tile__name", title: result.path }, result.name), scoreBar(result, good)),
  );
  element.addEventListener("dragstart", (event) => {
    event.dataTransfer.setData("application/x-searchkit-segment", String(result.segment_id));
    event.dataTransfer.effectAllowed = "copy";
  });
  return { element, open, play: sound?.toggle };
}

function face(result, words) {
  if (result.modality === "text") {
    return el("span", { class: "tile__passage" }, marked(result.text ?? result.name, words));
  }
  const picture = el("img", { class: "tile__picture", src: thumbnailUrl(result.segment_id), alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  picture.addEventListener("load", () => picture.classList.add("is-loaded"));
  picture.addEventListener("error", () => picture.replaceWith(el("span", { class: "tile__missing" }, icon("image", 28), "no preview")), { once: true });
  return picture;
}

/** Text with the words of the query marked where they occur. */
export function marked(text, words) {
  const wanted = [...new Set(words.map((word) => word.toLowerCase()))].filter((word) => word.length > 2 && !COMMON.has(word));
  if (!wanted.length) return [text];
  const pattern = new RegExp(`(?<!\\p{L})(${wanted.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})(?!\\p{L})`, "giu");
  return text.split(pattern).map((part) => (wanted.includes(part.toLowerCase()) ? el("mark", {}, part) : part));
}
