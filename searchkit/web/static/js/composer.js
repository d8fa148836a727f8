// The search field: words, a chip for every term, and the ways to put media in.

import { openCrop } from "./crop.js";
import { clear, debounce, el, icon, iconButton } from "./dom.js";
import { pickFile } from "./media.js";
import { toggleRecording } from "./recorder.js";
import { addTerm, ask, state } from "./state.js";
import { describe, pictureOf } from "./terms.js";

const LIVE_MS = 320;

const input = el("input", {
  id: "words",
  class: "composer__input",
  type: "text",
  enterkeyhint: "search",
  autocomplete: "off",
  autocapitalize: "none",
  spellcheck: "false",
  "aria-label": "Search with words or a sum of terms",
  "aria-describedby": "composer-error",
});
const chips = el("ul", { class: "chips", "aria-label": "Terms of the search" });
const failure = el("p", { id: "composer-error", class: "composer__error", role: "alert", hidden: true });
const recordButton = iconButton("mic", "Record a sound to search with", () => toggleRecording(recordButton, showRecording));

const live = debounce(LIVE_MS, () => ask({ push: false, live: true }));

export function startComposer(root) {
  input.addEventListener("input", () => {
    state.words = input.value;
    live();
  });
  input.addEventListener("keydown", onKey);
  root.append(
    el(
      "form",
      { class: "composer__form", role: "presentation", onsubmit: (event) => event.preventDefault() },
      el("span", { class: "composer__lead" }, icon("search")),
      el("div", { class: "composer__field", onclick: (event) => event.target === event.currentTarget && input.focus() }, chips, input),
      el(
        "div",
        { class: "composer__tools" },
        iconButton("attach", "Search with a picture, sound or video file", pickFile),
        recordButton,
      ),
    ),
    failure,
  );
  document.addEventListener("terms", draw);
  draw();
}

function showRecording(text) {
  if (text) input.placeholder = text;
  else draw();
}

export function focusComposer() {
  input.focus();
  input.select();
}

/** Shows why a query does not work, below the field. */
export function showFailure(problem) {
  failure.hidden = !problem;
  if (!problem) return;
  const [first, ...rest] = problem.message.split("\n");
  const caret = rest.length ? el("code", { class: "composer__caret" }, rest.map((line) => line.replace(/^ {2}/, "")).join("\n")) : null;
  clear(failure, icon("warning", 16), el("span", {}, first, caret, problem.hint ? el("span", { class: "composer__hint" }, problem.hint) : null));
}

/** The terms as the server understood them become chips; typed words become chips too. */
export function takeTerms(terms) {
  live.cancel();
  state.words = "";
  state.terms = terms.map(({ kind, value, weight, start_s, end_s }) => ({ kind, value, weight, start_s, end_s }));
  draw();
}

function onKey(event) {
  if (event.key === "Enter" && !event.isComposing) {
    live.cancel();
    ask({ push: true });
  } else if (event.key === "Escape") {
    if (input.value) {
      input.value = state.words = "";
      ask({ push: false });
    } else input.blur();
  } else if (event.key === "Backspace" && !input.value && state.terms.length) {
    const last = state.terms.pop();
    if (last.kind === "text") input.value = state.words = last.value;
    draw();
    ask({ push: false, live: true });
    event.preventDefault();
  } else if (event.key === "ArrowDown") {
    document.dispatchEvent(new Event("focus-results"));
    event.preventDefault();
  }
}

function draw() {
  if (input.value !== state.words) input.value = state.words;
  const room = matchMedia("(width > 640px)").matches ? "Search with words, a picture, a sound, or their sum" : "Words, picture or sound";
  input.placeholder = state.terms.length ? "Add words" : room;
  const focused = document.activeElement?.closest?.(".chip")?.dataset.key;
  const control = document.activeElement?.dataset?.control;
  clear(chips, state.terms.map(chip));
  if (focused) chips.querySelector(`[data-key="${CSS.escape(focused)}"] [data-control="${control}"]`)?.focus();
}

function chip(term, index) {
  const minus = term.weight < 0;
  const label = el("span", { class: "chip__text" }, term.kind === "text" ? term.value : "…");
  const picture = term.kind === "text" ? null : el("span", { class: "chip__picture" }, icon(term.kind, 16));
  const weight = el("output", { class: "chip__number" }, weightText(term.weight));
  const crop = iconButton("crop", "Search with a part of this picture", () => cropTerm(term), { class: "chip__button", hidden: true });
  const slider = el("input", {
    type: "range",
    class: "chip__slider",
    min: "0.05",
    max: "2",
    step: "0.05",
    value: String(Math.min(2, Math.abs(term.weight))),
    "aria-label": `Weight of ${term.value}`,
    data: { control: "slider" },
    oninput: () => {
      term.weight = Number(slider.value) * (term.weight < 0 ? -1 : 1);
      weight.textContent = weightText(term.weight);
      live();
    },
  });
  const element = el(
    "li",
    { class: `chip chip--${term.kind}${minus ? " chip--minus" : ""}`, data: { key: `${term.kind}:${term.value}` } },
    el(
      "button",
      {
        type: "button",
        class: "chip__sign",
        "aria-pressed": String(minus),
        "aria-label": minus ? "Taken away; add it instead" : "Added; take it away instead",
        title: minus ? "Taken away: click to add" : "Added: click to take away",
        data: { control: "sign" },
        onclick: () => {
          term.weight = -term.weight;
          draw();
          ask({ push: false });
        },
      },
      icon(minus ? "minus" : "plus", 14),
    ),
    picture,
    el(
      "button",
      { type: "button", class: "chip__label", title: term.kind === "text" ? "Edit these words" : term.value, data: { control: "label" }, onclick: () => editTerm(term, index) },
      label,
    ),
    crop,
    slider,
    weight,
    el(
      "button",
      { type: "button", class: "chip__button", "aria-label": `Remove ${term.value}`, title: "Remove", data: { control: "remove" }, onclick: () => removeTerm(index) },
      icon("close", 14),
    ),
  );
  if (term.kind !== "text") fill(term, element, label, picture, slider, crop);
  return element;
}

async function fill(term, element, label, picture, slider, crop) {
  const found = await describe(term);
  const span = term.start_s || term.end_s ? ` ${term.start_s ?? 0}–${term.end_s ?? "end"} s` : "";
  label.textContent = (term.kind === "id" ? `like ${found.label}` : found.label) + span;
  slider.setAttribute("aria-label", `Weight of ${label.textContent}`);
  element.querySelector("[data-control=remove]").setAttribute("aria-label", `Remove ${label.textContent}`);
  element.classList.add(`chip--${found.kind}`);
  clear(picture, found.picture ? el("img", { src: found.picture, alt: "", width: 28, height: 28 }) : icon(found.kind, 16));
  crop.hidden = !(await pictureOf(term));
}

const weightText = (weight) => `×${Math.abs(Math.round(weight * 100) / 100)}`;

function removeTerm(index) {
  state.terms.splice(index, 1);
  draw();
  input.focus();
  ask({ push: true });
}

function editTerm(term, index) {
  if (term.kind !== "text" || state.words) return;
  state.terms.splice(index, 1);
  state.words = term.value;
  draw();
  input.focus();
}

async function cropTerm(term) {
  const picture = await pictureOf(term);
  if (!picture) return;
  openCrop(picture, (upload) => {
    const at = state.terms.indexOf(term);
    const cut = { kind: upload.modality, value: upload.id, weight: term.weight };
    if (at >= 0) state.terms.splice(at, 1);
    addTerm(cut);
  });
}
