// What stands where results would: hints for a start, and what to do when there are none.

import { el, icon } from "./dom.js";

const EXAMPLES = [
  ["a dog in the snow", "words"],
  ['"a dog" + 0.5*"in the snow"', "a sum of terms, each with its weight"],
  ['"a city street" - 0.4*"cars"', "less of something"],
];

function empty(title, text, ...more) {
  return el("div", { class: "empty" }, el("p", { class: "empty__title" }, title), el("p", { class: "empty__text" }, text), more);
}

export const emptyLibrary = () =>
  empty("The library is empty", "Put something in it on the command line, then come back:", el("code", { class: "empty__code" }, "searchkit index ~/Pictures ~/Music"));

export const nothingFound = () => empty("Nothing passes these filters", "Remove a filter, or find other kinds of media.");

export function unanswered(problem, again) {
  return empty(problem.message, problem.hint, el("button", { type: "button", class: "button button--main", onclick: again }, icon("refresh", 16), "Try again"));
}

/** Examples of the query grammar; `run` gets the one that was chosen. */
export function howToSearch(run) {
  return empty(
    "How a search is written",
    "Plain words always work. With terms in quotes, it can be a sum:",
    el(
      "ul",
      { class: "examples" },
      EXAMPLES.map(([query, about]) => el("li", {}, el("button", { type: "button", class: "examples__query", onclick: () => run(query) }, query), el("span", { class: "muted" }, about))),
    ),
  );
}

export function startHint() {
  return el(
    "p",
    { class: "start-hint" },
    "Search with words, or with a picture or sound: choose it, drop it anywhere, paste it, record it. Whatever you add is summed up. ",
    el("span", { class: "start-hint__keys" }, "Press ", el("kbd", {}, "?"), " for the keys."),
  );
}
