// What may be found: kinds of media, filters as chips, every span, variety.

import { get } from "./api.js";
import { clear, el, icon } from "./dom.js";
import { modalitiesOf, number } from "./format.js";
import { ask, state } from "./state.js";

let fields = [];
let counts = {};
let tags = {};
const bar = document.getElementById("bar");
const count = el("p", { class: "bar__count", role: "status", "aria-live": "polite" });

const EDGE_PX = 14;
const QUICK = [
  ["Sounds under 10 s", "duration_s<10"],
  ["Large pictures", "width_px>=2000"],
  ["With a place", "has:gps"],
  ["This year", () => `date:${new Date().getFullYear()}`],
];

export async function startFilters() {
  document.addEventListener("filters", draw);
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  draw();
  try {
    let held;
    [fields, held, { tags }] = await Promise.all([get("/v1/fields"), get("/v1/status"), get("/v1/tags")]);
    counts = held.assets;
    draw();
  } catch {
    // The search itself says what is wrong.
  }
}

export async function refreshTags() {
  ({ tags } = await get("/v1/tags"));
}

export function showCount(text) {
  count.textContent = text;
}

function draw() {
  clear(
    bar,
    el(
      "div",
      { class: "segmented", role: "group", "aria-label": "What to find" },
      toggle("All", state.to.length === 0, () => (state.to = []), null),
      modalitiesOf(Object.keys(counts)).map(([modality, label]) => toggle(label, state.to.includes(modality), () => flip(modality), modality)),
    ),
    el(
      "ul",
      { class: "filters", "aria-label": "Filters" },
      state.where.map((filter, index) => filterChip(filter, index)),
      el("li", {}, adder()),
    ),
    el(
      "div",
      { class: "bar__end" },
      count,
      switchButton("Every moment", "Show every matching moment of sounds and videos, not the best of each file", state.spans, () => (state.spans = !state.spans)),
      switchButton("Variety", "Prefer results that differ from each other", state.diverse, () => (state.diverse = !state.diverse)),
    ),
  );
}

function changed() {
  draw();
  ask();
}

function toggle(label, pressed, change, modality) {
  const held = modality && counts[modality] !== undefined ? el("span", { class: "segmented__count" }, number(counts[modality])) : null;
  return el(
    "button",
    {
      type: "button",
      class: `segmented__button${modality ? ` is-${modality}` : ""}`,
      "aria-pressed": String(pressed),
      onclick: () => {
        change();
        changed();
      },
    },
    modality ? icon(modality, 16) : null,
    el("span", {}, label),
    held,
  );
}

function flip(modality) {
  state.to = state.to.includes(modality) ? state.to.filter((other) => other !== modality) : [...state.to, modality];
  if (state.to.length === modalitiesOf(Object.keys(counts)).length) state.to = [];
}

function switchButton(label, title, pressed, change) {
  return el(
    "button",
    {
      type: "button",
      class: "switch",
      "aria-pressed": String(pressed),
      title,
      onclick: () => {
        change();
        changed();
      },
    },
    el("span", { class: "switch__dot", "aria-hidden": "true" }),
    label,
  );
}

function filterChip(filter, index) {
  return el(
    "li",
    { class: "filter" },
    el("code", {}, filter),
    el(
      "button",
      {
        type: "button",
        "aria-label": `Remove the filter ${filter}`,
        onclick: () => {
          state.where.splice(index, 1);
          changed();
        },
      },
      icon("close", 14),
    ),
  );
}

function adder() {
  const text = el("input", { type: "text", class: "field", placeholder: "date>=2019, tag:holiday …", "aria-label": "A filter", list: "filter-fields", spellcheck: "false", autocapitalize: "none" });
  const about = el("p", { class: "menu__about" });
  const hint = () => {
    const name = text.value.match(/^\s*(?:NOT\s+)?([a-z_]+)/i)?.[1]?.toLowerCase();
    about.textContent = fields.find((field) => field.name === name)?.about ?? "name, comparison, value; AND, OR, NOT and brackets work too";
  };
  const add = (filter) => {
    if (filter && !state.where.includes(filter)) state.where.push(filter);
    changed();
  };
  text.addEventListener("input", hint);
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    add(text.value.trim());
  });
  hint();
  const quick = [
    ...QUICK.map(([label, filter]) => [label, typeof filter === "function" ? filter() : filter]),
    ...Object.keys(tags).slice(0, 8).map((tag) => [`Tag: ${tag}`, /^[\w.-]+$/.test(tag) ? `tag:${tag}` : `tag:"${tag.replace(/["\\]/g, "\\$&")}"`]),
  ];
  const menu = el(
    "details",
    { class: "menu" },
    el("summary", { class: "menu__open" }, icon("filter", 16), el("span", {}, "Filter")),
    el(
      "div",
      { class: "menu__panel" },
      el("datalist", { id: "filter-fields" }, fields.map((field) => el("option", { value: `${field.name}${field.ordered ? ">=" : ":"}` }, field.about))),
      el("div", { class: "menu__row" }, text, el("button", { type: "button", class: "button button--main", onclick: () => add(text.value.trim()) }, "Add")),
      about,
      el("div", { class: "menu__quick" }, quick.map(([label, filter]) => el("button", { type: "button", class: "pill", onclick: () => add(filter) }, label))),
    ),
  );
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    const panel = menu.querySelector(".menu__panel");
    panel.style.left = "0px";
    const over = panel.getBoundingClientRect().right - document.getElementById("bar").getBoundingClientRect().right + EDGE_PX;
    panel.style.left = `${-Math.max(0, over)}px`;
    text.focus();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  return menu;
}
