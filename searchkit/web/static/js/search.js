// Runs searches, shows their results, and keeps the address in step.

import { post } from "./api.js";
import { showFailure, takeTerms } from "./composer.js";
import { clear, el, toast } from "./dom.js";
import { emptyLibrary, howToSearch, nothingFound, startHint, unanswered } from "./empty.js";
import { showCount } from "./filters.js";
import { number } from "./format.js";
import { Grid } from "./grid.js";
import { mediaUrl } from "./api.js";
import { openPreview } from "./preview.js";
import { joinedFilter } from "./query.js";
import { addTerm, ask, source, state, writeAddress } from "./state.js";
import { isGood } from "./tiles.js";

const PAGE = 40;
const LESS_WEIGHT = -0.5;
const NOT_WEIGHT = -0.2;

const root = document.getElementById("results");
const heading = el("h1", { class: "results__title" });
const note = el("div", {});
const grid = new Grid({ act, more, label: "Results" });
let cursor = null;
let cutoff = 0;
let asked = 0;
let running = null;
let loading = false;
const hidden = new Set();

export function startSearch() {
  root.append(heading, note, grid.element);
  document.addEventListener("ask", (event) => run(event.detail));
  document.addEventListener("focus-results", () => grid.focus(0));
}

/** Segments of the results that are good matches. */
export function goodSegments() {
  return grid.results.filter((result) => isGood(result, cutoff)).map((result) => result.segment_id);
}

async function run({ push, live }) {
  const number_ = (asked += 1);
  running?.abort();
  running = new AbortController();
  writeAddress(push);
  if (push) hidden.clear();
  document.body.classList.add("is-searching");
  if (!grid.results.length) clear(note, skeleton());
  const typed = state.words;
  try {
    const answer = await post(
      "/v1/search",
      { query: source(), to: state.to.length ? state.to : null, where: joinedFilter(state.where), k: PAGE, spans: state.spans, diverse: state.diverse },
      { signal: running.signal },
    );
    if (number_ !== asked) return;
    showFailure(null);
    if (!live && (typed || answer.terms.length !== state.terms.length)) takeTerms(answer.terms);
    if (!live && typed.startsWith("@")) takeFilters(answer);
    show(answer, push);
    writeAddress(false);
  } catch (problem) {
    if (problem.name === "AbortError" || number_ !== asked) return;
    // Half-typed sums are no reason to shout.
    if (live && problem.code === "QuerySyntaxError") return;
    const isNoAnswer = !live && (problem.status === 0 || problem.status === 429 || problem.status >= 500);
    showFailure(isNoAnswer ? null : problem);
    if (!live) showNothing(problem, isNoAnswer);
  } finally {
    if (number_ === asked) document.body.classList.remove("is-searching");
  }
}

/** A saved query brings its own filter and kinds along. */
function takeFilters(answer) {
  if (!state.to.length && answer.to) state.to = answer.to;
  if (!state.where.length && answer.where) state.where = [answer.where];
  document.dispatchEvent(new Event("filters"));
}

function words() {
  return [...state.terms.filter((term) => term.kind === "text").map((term) => term.value), state.words].flatMap((text) => text.split(/\s+/));
}

function show(answer, push) {
  cursor = answer.next_cursor;
  cutoff = answer.cutoff;
  const focused = grid.current();
  grid.clear();
  clear(note);
  scrollTo({ top: 0 });
  const shown = answer.results.filter((result) => !hidden.has(result.segment_id));
  const isSearch = answer.terms.length > 0;
  heading.textContent = isSearch ? "Results" : "Newest in the library";
  heading.classList.toggle("is-quiet", isSearch);
  document.title = isSearch ? `${answer.query} · searchkit` : "searchkit";
  grid.add(shown, words(), cutoff);
  // A key that changed the search leaves the keyboard in the list.
  if (focused >= 0) grid.focus(Math.min(push ? 0 : focused, shown.length - 1));
  const some = cursor ? `${number(shown.length)}+` : number(shown.length);
  showCount(isSearch ? `${some} ${shown.length === 1 && !cursor ? "result" : "results"} in ${Math.max(1, Math.round(answer.took_ms))} ms` : "");
  if (!shown.length) clear(note, isSearch || state.where.length || state.to.length ? nothingFound() : emptyLibrary());
  else if (!isSearch && !state.where.length && !state.to.length) clear(note, startHint());
  document.dispatchEvent(new Event("results"));
}

/** Grey tiles while the first answer is on its way. */
function skeleton() {
  const widths = [1.5, 1, 1.8, 1.3, 0.8, 1.5, 1.6, 1.1, 1.4, 1.9];
  return el("div", { class: "skeleton", "aria-hidden": "true" }, widths.map((wide) => el("span", { style: { "flex-grow": wide, "flex-basis": `${wide * 160}px` } })));
}

function showNothing(problem, isNoAnswer) {
  grid.clear();
  cursor = null;
  showCount("");
  heading.textContent = "";
  if (problem.code === "LibraryNotFound") clear(note, emptyLibrary());
  else if (isNoAnswer) clear(note, unanswered(problem, () => ask({ push: false })));
  else if (problem.code === "QuerySyntaxError") clear(note, howToSearch(trySource));
  else clear(note);
}

function trySource(query) {
  state.terms = [];
  state.words = query;
  document.dispatchEvent(new Event("terms"));
  ask();
}

async function more() {
  if (!cursor || loading) return;
  const [from, number_] = [cursor, asked];
  loading = true;
  try {
    const answer = await post("/v1/search", { cursor: from });
    if (number_ !== asked) return;
    cursor = answer.next_cursor;
    grid.add(answer.results.filter((result) => !hidden.has(result.segment_id)), words(), cutoff);
    if (document.body.dataset.view === "search" && state.terms.length) showCount(`${number(grid.results.length)}${cursor ? "+" : ""} results`);
  } catch (problem) {
    cursor = null;
    toast(problem.message, { hint: problem.hint, kind: "error" });
  } finally {
    loading = false;
    if (cursor && grid.end.getBoundingClientRect().top < innerHeight + 900) more();
  }
}

/** What can be done to a result, from the grid and from the preview. */
export function act(name, result) {
  if (name === "open") openPreview(result, grid.results.includes(result) ? grid : null, act);
  else if (name === "more") addTerm({ kind: "id", value: String(result.segment_id), weight: 1 });
  else if (name === "less") addTerm({ kind: "id", value: String(result.segment_id), weight: LESS_WEIGHT });
  else if (name === "not") notAMatch(result);
  else if (name === "copy") copyPath(result);
  else if (name === "file") open(mediaUrl(result.asset_id), "_blank", "noopener");
}

/** Gone from view, and the search leans a little away from it. */
function notAMatch(result) {
  hidden.add(result.segment_id);
  grid.remove(result);
  const isSearch = state.terms.length > 0 || state.words;
  const term = { kind: "id", value: String(result.segment_id), weight: NOT_WEIGHT, start_s: null, end_s: null };
  const again = () => {
    document.dispatchEvent(new Event("terms"));
    ask({ push: false });
  };
  if (isSearch) {
    state.terms.push(term);
    again();
  }
  toast(`${result.name} is hidden${isSearch ? ", and the search leans away from it" : ""}`, {
    undo: () => {
      hidden.delete(result.segment_id);
      state.terms = state.terms.filter((other) => other.kind !== "id" || other.value !== term.value);
      again();
    },
  });
}

async function copyPath(result) {
  try {
    await navigator.clipboard.writeText(result.path);
    toast("Path copied");
  } catch {
    toast(result.path);
  }
}

