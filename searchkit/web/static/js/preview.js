// A result looked at closely: the media itself, why it was found, its facts and tags, and what to do with it.

import { get, mediaUrl, post, thumbnailUrl } from "./api.js";
import { openCrop } from "./crop.js";
import { clear, el, icon, iconButton, pathText, toast } from "./dom.js";
import { bytes, clock, date, plural, spanText } from "./format.js";
import { refreshTags } from "./filters.js";
import { soundPlayer, stop } from "./player.js";
import { joinedFilter } from "./query.js";
import { addTerm, source, state } from "./state.js";
import { marked, scoreBar, spoken } from "./tiles.js";

const dialog = document.getElementById("preview");
let shown = null;
let grid = null;
let act = null;

export function startPreview() {
  dialog.addEventListener("close", () => {
    stop();
    clear(dialog);
    const index = grid?.results.indexOf(shown) ?? -1;
    shown = null;
    if (index >= 0) grid.focus(index);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", onKey);
}

export function openPreview(result, fromGrid, onAct) {
  [shown, grid, act] = [result, fromGrid, onAct];
  draw();
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const index = grid?.results.indexOf(shown) ?? -1;
  const next = grid?.results[index + by];
  if (index < 0 || !next) return;
  stop();
  shown = next;
  draw();
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, video, select")) return;
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === " " && !event.target.matches("button, a, summary")) dialog.close();
  else if (event.key === "m") leave("more");
  else if (event.key === "l") leave("less");
  else if (event.key === "n") leave("not");
  else if (event.key === "c") act("copy", shown);
  else return;
  event.preventDefault();
}

function leave(name) {
  const result = shown;
  dialog.close();
  act(name, result);
}

function draw() {
  const result = shown;
  const words = state.terms.filter((term) => term.kind === "text").flatMap((term) => term.value.split(/\s+/));
  const facts = el("div", { class: "preview__facts" });
  dialog.setAttribute("aria-label", `Preview of ${spoken(result)}`);
  clear(
    dialog,
    el(
      "div",
      { class: "preview__stage" },
      stage(result, words),
      el("div", { class: "preview__steps" }, iconButton("left", "Previous result", () => step(-1)), iconButton("right", "Next result", () => step(1))),
    ),
    el(
      "div",
      { class: "preview__side" },
      el(
        "header",
        { class: "preview__head" },
        el("span", { class: `tile__kind is-${result.modality}` }, icon(result.modality, 18)),
        el("h2", { class: "preview__name", tabindex: "-1", autofocus: true }, result.name),
        iconButton("close", "Close the preview", () => dialog.close()),
      ),
      result.start_s === null ? null : el("p", { class: "preview__span" }, spanText(result.start_s, result.end_s)),
      el("div", { class: "preview__score" }, scoreBar(result)),
      el(
        "div",
        { class: "preview__steer" },
        el("button", { type: "button", class: "button button--main", onclick: () => leave("more") }, icon("plus", 16), "More like this"),
        el("button", { type: "button", class: "button", onclick: () => leave("less") }, icon("minus", 16), "Less like this"),
        el("button", { type: "button", class: "button", onclick: () => leave("not") }, icon("hide", 16), "Not a match"),
        ["image", "video"].includes(result.modality) ? el("button", { type: "button", class: "button", onclick: () => crop(result) }, icon("crop", 16), "Search a part") : null,
      ),
      facts,
      el(
        "div",
        { class: "preview__files" },
        el("a", { class: "button", href: mediaUrl(result.asset_id), target: "_blank", rel: "noopener" }, icon("open", 16), "Open"),
        el("a", { class: "button", href: `${mediaUrl(result.asset_id)}?download=true`, download: result.name }, icon("download", 16), "Download"),
        el("button", { type: "button", class: "button", onclick: () => act("copy", result) }, icon("copy", 16), "Copy path"),
      ),
    ),
  );
  fill(facts, result);
}

function stage(result, words) {
  if (result.modality === "audio") return el("div", { class: "preview__sound" }, soundPlayer(result, { lazy: false }).element);
  if (result.modality === "video") {
    const video = el("video", { class: "preview__media", controls: true, preload: "metadata", poster: thumbnailUrl(result.segment_id, 640), src: mediaUrl(result.asset_id), "aria-label": result.name });
    video.addEventListener("loadedmetadata", () => (video.currentTime = result.start_s ?? 0), { once: true });
    video.addEventListener("error", () => video.replaceWith(el("img", { class: "preview__media", src: thumbnailUrl(result.segment_id, 1280), alt: `A moment of ${result.name}` })), { once: true });
    return video;
  }
  if (result.modality === "image") {
    const still = result.mime === "image/gif" || result.mime === "image/webp" || result.mime === "image/svg+xml";
    return el("img", { class: "preview__media", src: still ? mediaUrl(result.asset_id) : thumbnailUrl(result.segment_id, 1280), alt: result.name });
  }
  if (result.modality !== "text") return el("img", { class: "preview__media", src: thumbnailUrl(result.segment_id, 1280), alt: result.name });
  return el("div", { class: "preview__text", tabindex: "0", role: "document", "aria-label": "The passage" }, marked(result.text ?? "", words));
}

async function fill(facts, result) {
  let asset;
  try {
    asset = await get(`/v1/assets/${result.asset_id}`);
  } catch (problem) {
    clear(facts, el("p", { class: "muted" }, problem.message));
    return;
  }
  if (shown !== result) return;
  const rows = [
    ["Path", pathText(asset.path)],
    ["Date", date(asset.date)],
    ["Size", [asset.width_px ? `${asset.width_px} × ${asset.height_px} px` : null, asset.duration_s ? clock(asset.duration_s) : null, bytes(asset.size_bytes)].filter(Boolean).join(", ")],
    ["Kind", asset.mime ?? "unknown"],
    result.copies?.length ? ["Copies", result.copies.join(", ")] : null,
  ];
  clear(
    facts,
    why(result),
    el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    tagEditor(asset),
    moments(asset, result),
  );
}

function why(result) {
  const box = el("details", { class: "why" }, el("summary", {}, "Why was this found?"));
  box.addEventListener(
    "toggle",
    async () => {
      const query = source();
      if (!query) return;
      try {
        const told = await post("/v1/explain", { query, asset_id: result.asset_id, to: state.to.length ? state.to : null, where: joinedFilter(state.where) });
        const most = Math.max(...told.terms.map((term) => Math.abs(term.contribution)), 1e-6);
        box.append(
          el(
            "ul",
            { class: "shares" },
            told.terms.map((term) =>
              el(
                "li",
                { class: term.contribution < 0 ? "is-minus" : "" },
                el("span", { class: "shares__term" }, term.term),
                el("span", { class: "shares__bar", "aria-hidden": "true" }, el("span", { style: { width: `${(Math.abs(term.contribution) / most) * 100}%` } })),
                el("span", { class: "shares__number" }, term.contribution.toFixed(3)),
              ),
            ),
          ),
          el("p", { class: "muted" }, `Cosine ${told.score.toFixed(3)}${told.rank ? `, rank ${told.rank}` : ""}${told.collection_rank ? `, ${told.collection_rank} of ${told.collection_size} in its collection` : ""}`),
        );
      } catch (problem) {
        box.append(el("p", { class: "muted" }, problem.message));
      }
    },
    { once: true },
  );
  return source() ? box : null;
}

function tagEditor(asset) {
  const list = el("ul", { class: "tags", "aria-label": "Tags" });
  const input = el("input", { class: "field field--small", type: "text", placeholder: "Add a tag", "aria-label": "Add a tag", maxlength: "200" });
  const change = async (body) => {
    try {
      await post("/v1/tags", { asset_ids: [asset.asset_id], ...body });
      asset.tags = asset.tags.filter((tag) => !body.remove?.includes(tag));
      if (body.add) asset.tags = [...new Set([...asset.tags, ...body.add])].sort();
      paint();
      refreshTags();
    } catch (problem) {
      toast(problem.message, { hint: problem.hint, kind: "error" });
    }
  };
  const paint = () =>
    clear(
      list,
      asset.tags.map((tag) => el("li", { class: "tag" }, icon("tag", 12), tag, el("button", { type: "button", "aria-label": `Remove the tag ${tag}`, onclick: () => change({ remove: [tag] }) }, icon("close", 12)))),
      el("li", {}, input),
    );
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    const tag = input.value.trim();
    if (event.key === "Enter" && tag) {
      input.value = "";
      change({ add: [tag] });
    }
  });
  paint();
  return list;
}

function moments(asset, result) {
  const frames = asset.segments.filter((segment) => segment.encoded_as === "image" && segment.start_s !== null);
  if (asset.modality !== "video" || frames.length < 2) return null;
  return el(
    "div",
    {},
    el("h3", { class: "preview__sub" }, plural(frames.length, "moment")),
    el(
      "ul",
      { class: "moments", "aria-label": "Moments of the video" },
      frames.map((frame) =>
        el(
          "li",
          {},
          el(
            "button",
            {
              type: "button",
              class: `moment${frame.start_s === result.start_s ? " is-found" : ""}`,
              "aria-label": `Go to ${clock(frame.start_s)}`,
              onclick: () => {
                const video = dialog.querySelector("video");
                if (video) video.currentTime = frame.start_s;
              },
            },
            el("img", { src: thumbnailUrl(frame.segment_id, 160), alt: "", loading: "lazy" }),
            el("span", {}, clock(frame.start_s)),
          ),
        ),
      ),
    ),
  );
}

function crop(result) {
  openCrop(thumbnailUrl(result.segment_id, 1280), (upload) => {
    if (dialog.open) dialog.close();
    state.terms = [];
    state.words = "";
    addTerm({ kind: upload.modality, value: upload.id, weight: 1 });
  });
}
