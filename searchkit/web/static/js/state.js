// What is being asked: the one place that holds it; whoever changes it calls `ask`.

import { fromAddress, querySource, toAddress } from "./query.js";

export const state = { terms: [], words: "", to: [], where: [], spans: false, diverse: false };

export const source = () => querySource(state.terms, state.words);

/** Search for what the state says; `push` adds to the browser's history, otherwise the entry is replaced. */
export function ask({ push = true, live = false } = {}) {
  document.dispatchEvent(new CustomEvent("ask", { detail: { push, live } }));
}

export function addTerm(term, options) {
  const same = state.terms.find((other) => other.kind === term.kind && other.value === term.value);
  if (same) same.weight = term.weight;
  else state.terms.push({ start_s: null, end_s: null, ...term });
  document.dispatchEvent(new Event("terms"));
  ask(options);
}

/** Take over what an address says; the terms come back from the server. */
export function readAddress() {
  const { q, ...rest } = fromAddress(location.search);
  Object.assign(state, rest, { terms: [], words: q });
  document.dispatchEvent(new Event("terms"));
  document.dispatchEvent(new Event("filters"));
}

export function writeAddress(push) {
  const address = toAddress({ ...state, q: source() }) + location.hash;
  if (address === location.pathname + location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}
