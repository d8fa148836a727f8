// Starts the page: theme, views, keys, sign-in; the parts do the rest.

import { get, post } from "./api.js";
import { focusComposer, startComposer } from "./composer.js";
import { clear, el, icon } from "./dom.js";
import { startFilters } from "./filters.js";
import { startMedia } from "./media.js";
import { startPreview } from "./preview.js";
import { startSearch } from "./search.js";
import { ask, readAddress } from "./state.js";

const views = ["search", "map", "indexing", "signin"];
const loaded = {};

function startTheme() {
  const button = document.getElementById("theme");
  const current = () => document.documentElement.dataset.theme;
  const draw = () => {
    const other = current() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
    button.title = button.getAttribute("aria-label");
    clear(button, icon(other === "dark" ? "moon" : "sun"));
    document.dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    const other = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = other;
    draw();
    try {
      localStorage.setItem("theme", other);
    } catch {
      // A browser that stores nothing asks the system again next time.
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}

async function showView(name) {
  document.body.dataset.view = name;
  for (const view of views) document.getElementById(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll(".views__link")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "map") {
    loaded.map ??= import("./map.js");
    (await loaded.map).showMap(document.getElementById("view-map"));
  } else if (name === "indexing") {
    loaded.indexing ??= import("./indexing.js");
    (await loaded.indexing).showIndexing(document.getElementById("view-indexing"));
  }
}

const viewOfAddress = () => (["#map", "#indexing"].includes(location.hash) ? location.hash.slice(1) : "search");

function startViews() {
  const names = { search: "search", map: "map", indexing: "activity" };
  for (const link of document.querySelectorAll(".views__link")) {
    link.prepend(icon(names[link.dataset.view], 18));
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      const hash = link.dataset.view === "search" ? "" : `#${link.dataset.view}`;
      history.pushState(null, "", location.pathname + location.search + hash);
      showView(link.dataset.view);
    });
  }
  addEventListener("popstate", () => {
    showView(viewOfAddress());
    readAddress();
    ask({ push: false });
  });
  document.addEventListener("ask", (event) => {
    if (event.detail.push && viewOfAddress() !== "search") {
      history.replaceState(null, "", location.pathname + location.search);
      showView("search");
    }
  }, { capture: true });
  showView(viewOfAddress());
}

const KEYS = [
  ["/", "go to the search field"],
  ["Enter", "turn the words into a term"],
  ["Backspace", "in the empty field: take the last term back"],
  ["Arrow keys", "move between results"],
  ["Space", "preview the result; arrows go on, Space closes"],
  ["P", "play the sound"],
  ["M / L", "more like this / less like this"],
  ["N", "not a match"],
  ["C / O", "copy the path / open the file"],
  ["?", "this list"],
];

function showShortcuts() {
  const dialog = document.getElementById("shortcuts");
  clear(
    dialog,
    el("h2", { class: "sheet__title" }, "Keyboard shortcuts"),
    el("dl", { class: "keys" }, KEYS.map(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("div", { class: "sheet__actions" }, el("button", { type: "button", class: "button button--main", onclick: () => dialog.close() }, "Close")),
  );
  dialog.showModal();
}

function startKeys() {
  document.addEventListener("focus-search", focusComposer);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || event.target.closest?.("input, textarea, select")) return;
    if (event.key === "/") focusComposer();
    else if (event.key === "?") showShortcuts();
    else return;
    event.preventDefault();
  });
}

function showSignIn() {
  const token = el("input", { class: "field", type: "password", autocomplete: "current-password", required: true, "aria-label": "Token" });
  const failure = el("p", { class: "composer__error", role: "alert" });
  const form = el(
    "form",
    {
      class: "signin",
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          await post("/v1/session", { token: token.value.trim() });
          location.reload();
        } catch (problem) {
          failure.textContent = `${problem.message}. ${problem.hint}`;
        }
      },
    },
    el("h1", {}, "Sign in"),
    el("p", { class: "muted" }, "This library asks for the token that searchkit serve printed when it was started first."),
    token,
    failure,
    el("button", { class: "button button--main" }, "Sign in"),
  );
  clear(document.getElementById("view-signin"), form);
  showView("signin");
  token.focus();
}

async function signIn() {
  const given = location.hash.match(/^#token=(.+)$/);
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    await post("/v1/session", { token: decodeURIComponent(given[1]) }).catch(() => {});
  }
  const session = await get("/v1/session").catch(() => ({ signed_in: true }));
  return session.signed_in;
}

async function start() {
  startTheme();
  if (!(await signIn())) {
    showSignIn();
    return;
  }
  document.addEventListener("signed-out", showSignIn, { once: true });
  startComposer(document.getElementById("composer"));
  startMedia(document.getElementById("drop"));
  startPreview();
  startSearch();
  startFilters();
  startViews();
  startKeys();
  readAddress();
  ask({ push: false });
}

start();
