// The query as terms and as source text, and both as an address; knows no element of the page.

const ESCAPES = { "\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r" };
const quote = (text) => `"${text.replace(/[\\"\n\t\r]/g, (char) => ESCAPES[char])}"`;

/** One term without its weight, in the query grammar. */
export function operandSource(term) {
  if (term.kind === "text") return `text:${quote(term.value)}`;
  if (term.kind === "id") return `id:${term.value}`;
  const path = /^[\w./~%,=-]+$/.test(term.value) ? term.value : quote(term.value);
  const span = term.start_s || term.end_s ? `@${term.start_s ?? 0}-${term.end_s ?? ""}` : "";
  return `${term.kind}:${path}${term.kind === "image" ? "" : span}`;
}

const rounded = (weight) => String(Math.round(weight * 1000) / 1000);

/** All terms, and words being typed, in the query grammar. */
export function querySource(terms, words = "") {
  let source = "";
  for (const term of terms) {
    const weight = Math.abs(term.weight);
    const part = weight === 1 ? operandSource(term) : `${rounded(weight)}*${operandSource(term)}`;
    if (!source) source = term.weight < 0 ? `-${part}` : part;
    else source += ` ${term.weight < 0 ? "-" : "+"} ${part}`;
  }
  const typed = words.trim();
  if (!typed) return source;
  if (!source) return typed;
  return /^[+-]\s/.test(typed) ? `${source} ${typed}` : `${source} + ${typed}`;
}

/** What is asked, from an address. */
export function fromAddress(search) {
  const asked = new URLSearchParams(search);
  return {
    q: asked.get("q") ?? "",
    to: (asked.get("to") ?? "").split(",").filter((name) => ["image", "audio", "video", "text"].includes(name)),
    where: asked.getAll("where").filter(Boolean),
    spans: asked.get("spans") === "1",
    diverse: asked.get("diverse") === "1",
  };
}

/** The address of what is asked. */
export function toAddress({ q, to, where, spans, diverse }) {
  const asked = new URLSearchParams();
  if (q) asked.set("q", q);
  if (to.length) asked.set("to", to.join(","));
  for (const filter of where) asked.append("where", filter);
  if (spans) asked.set("spans", "1");
  if (diverse) asked.set("diverse", "1");
  const text = asked.toString();
  return text ? `/?${text}` : "/";
}

/** Filter chips as one filter. */
export const joinedFilter = (where) => (where.length > 1 ? where.map((part) => `(${part})`).join(" AND ") : where[0] ?? null);
