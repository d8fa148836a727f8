// What the library holds, the run that goes on, past runs, and files that could not be read.

import { get, post } from "./api.js";
import { clear, el, icon, pathText, toast } from "./dom.js";
import { ago, modalitiesOf, number, plural } from "./format.js";

const POLL_MS = 1500;
const IDLE_POLL_MS = 8000;
let root = null;
let timer = 0;
let failures = [];
let nextFailures = null;
let loadedFor = null;

export function showIndexing(view) {
  root = view;
  view.classList.add("is-shown");
  if (!view.firstChild) view.append(el("div", { class: "indexing" }, el("p", { class: "muted" }, "Loading…")));
  loadedFor = null;
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  if (root.hidden) return;
  let running = false;
  try {
    const [status, { runs }] = await Promise.all([get("/v1/status"), get("/v1/runs?limit=12")]);
    const key = `${status.failed} ${runs[0]?.id} ${runs[0]?.state}`;
    if (key !== loadedFor) {
      const page = await get("/v1/errors?limit=50");
      [failures, nextFailures, loadedFor] = [page.errors, page.next_cursor, key];
    }
    running = runs[0]?.state === "running";
    draw(status, runs);
  } catch (problem) {
    clear(root, el("div", { class: "empty" }, el("p", { class: "empty__title" }, problem.message), el("p", { class: "empty__text" }, problem.hint)));
  }
  timer = setTimeout(refresh, running ? POLL_MS : IDLE_POLL_MS);
}

function draw(status, runs) {
  const focused = document.activeElement?.dataset?.focus;
  clear(root, el("div", { class: "indexing" }, library(status), current(status, runs), history_(runs), errors(status)));
  if (focused) root.querySelector(`[data-focus="${focused}"]`)?.focus();
}

function library(status) {
  const vectors = Object.values(status.segments).reduce((sum, count) => sum + count, 0);
  return el(
    "section",
    { class: "card", "aria-labelledby": "card-library" },
    el("div", { class: "card__head" }, el("h2", { id: "card-library" }, "Library"), el("span", { class: "muted" }, `model ${status.model}, ${plural(vectors, "vector")}`)),
    el(
      "div",
      { class: "counts" },
      modalitiesOf(Object.keys(status.assets)).map(([modality, label]) =>
        el("div", { class: "count" }, el("span", { class: "count__number" }, number(status.assets[modality] ?? 0)), el("span", { class: `count__label is-${modality}` }, icon(modality, 16), el("span", { class: "muted" }, label))),
      ),
      el("div", { class: "count" }, el("span", { class: "count__number" }, number(status.failed)), el("span", { class: "count__label" }, icon("warning", 16), "Not readable")),
    ),
  );
}

function current(status, runs) {
  const run = runs.find((entry) => entry.state === "running");
  const body = run ? going(run) : [el("p", { class: "muted" }, runs[0] ? `The last run ended ${ago(runs[0].ended_at ?? runs[0].started_at)}.` : "Nothing was indexed yet.")];
  const canChange = !status.read_only && status.roots.length > 0;
  const start = (retry) => async () => {
    try {
      await post("/v1/runs", { retry_failed: retry });
      toast("The run has begun");
    } catch (problem) {
      toast(problem.message, { hint: problem.hint, kind: "error" });
    }
    setTimeout(refresh, 700);
  };
  const stop = async () => {
    const { stopped } = await post("/v1/runs/stop", {});
    toast(stopped ? "It ends after the batch in hand" : "That run was started elsewhere; stop it there");
  };
  const buttons = run
    ? [el("button", { type: "button", class: "button", data: { focus: "stop" }, onclick: stop }, icon("stop", 16), "Stop")]
    : [
        el("button", { type: "button", class: "button button--main", data: { focus: "start" }, onclick: start(false) }, icon("refresh", 16), "Update now"),
        status.failed ? el("button", { type: "button", class: "button", data: { focus: "retry" }, onclick: start(true) }, "Retry failed files") : null,
      ];
  return el(
    "section",
    { class: "card card--half", "aria-labelledby": "card-run" },
    el("div", { class: "card__head" }, el("h2", { id: "card-run" }, run ? "Indexing now" : "Indexing"), canChange ? buttons : null),
    body,
    status.run_complaint ? el("p", { class: "composer__error", role: "alert" }, icon("warning", 16), el("span", {}, status.run_complaint)) : null,
    el("h3", { class: "preview__sub" }, "Folders"),
    status.roots.length
      ? el("ul", { class: "roots" }, status.roots.map((folder) => el("li", {}, pathText(folder))))
      : el("p", { class: "muted" }, "None yet: ", el("code", {}, "searchkit index FOLDER")),
  );
}

function going(run) {
  const share = run.total ? Math.min(1, run.done / run.total) : null;
  const seconds = Math.max(1, (Date.now() - new Date(run.started_at).getTime()) / 1000);
  const stages = { scan: "Looking for files", hash: "Comparing moved files", embed: "Reading and embedding", clean: "Cleaning up" };
  return [
    el("p", { role: "status" }, `${stages[run.stage] ?? "Working"}${run.total ? `: ${number(run.done)} of ${plural(run.total, "file")}` : run.done ? `: ${plural(run.done, "file")} so far` : ""}`),
    el("div", { class: `progress${share === null ? " is-unknown" : ""}`, role: "progressbar", "aria-label": "Indexing", "aria-valuenow": share === null ? undefined : Math.round(share * 100), "aria-valuemin": "0", "aria-valuemax": "100" }, el("span", { style: { width: `${(share ?? 0.3) * 100}%` } })),
    el("p", { class: "muted" }, `Began ${ago(run.started_at)}${run.done ? `, ${(run.done / seconds).toFixed(1)} files a second` : ""}. Searches are answered meanwhile.`),
  ];
}

function history_(runs) {
  const shown = ["new", "changed", "moved", "gone", "same", "failed"];
  return el(
    "section",
    { class: "card card--half", "aria-labelledby": "card-runs" },
    el("div", { class: "card__head" }, el("h2", { id: "card-runs" }, "Runs")),
    runs.length
      ? el(
          "div",
          { class: "table-box", tabindex: "0", role: "group", "aria-label": "Past runs" },
          el(
            "table",
            {},
            el("thead", {}, el("tr", {}, ["Began", "State", "What happened"].map((head) => el("th", { scope: "col" }, head)))),
            el(
              "tbody",
              {},
              runs.map((run) =>
                el(
                  "tr",
                  {},
                  el("td", { title: run.started_at }, ago(run.started_at)),
                  el("td", {}, el("span", { class: `state state--${run.state}` }, run.state)),
                  el("td", {}, run.error ?? (shown.filter((name) => run.counts[name]).map((name) => `${number(run.counts[name])} ${name}`).join(", ") || "nothing to do")),
                ),
              ),
            ),
          ),
        )
      : el("p", { class: "muted" }, "No run yet."),
  );
}

function errors(status) {
  if (!status.failed) return null;
  const more = nextFailures
    ? el(
        "button",
        {
          type: "button",
          class: "button",
          data: { focus: "more" },
          onclick: async () => {
            const page = await get(`/v1/errors?limit=200&cursor=${encodeURIComponent(nextFailures)}`);
            failures = [...failures, ...page.errors];
            nextFailures = page.next_cursor;
            refresh();
          },
        },
        "Show more",
      )
    : null;
  return el(
    "section",
    { class: "card", "aria-labelledby": "card-errors" },
    el("div", { class: "card__head" }, el("h2", { id: "card-errors" }, plural(status.failed, "file could", "files could").concat(" not be read"))),
    el(
      "div",
      { class: "table-box", tabindex: "0", role: "group", "aria-label": "Files that could not be read" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "File"), el("th", { scope: "col" }, "Why"))),
        el("tbody", {}, failures.map((failure) => el("tr", {}, el("td", {}, pathText(failure.path)), el("td", {}, failure.reason)))),
      ),
    ),
    more,
  );
}
