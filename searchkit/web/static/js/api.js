// Talks to the server; an error carries the server's own words and hint.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.hint = body.hint || "";
    this.code = body.code || "";
    this.column = body.column;
  }
}

async function answered(response) {
  if (response.ok) {
    if (response.status === 204) return null;
    return response.headers.get("content-type")?.includes("json") ? response.json() : response.arrayBuffer();
  }
  let body = {};
  try {
    body = await response.json();
  } catch {
    body = { detail: `the server answered ${response.status}` };
  }
  if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  throw new Problem(response.status, body);
}

async function ask(path, options) {
  try {
    return await answered(await fetch(path, { credentials: "same-origin", ...options }));
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the server does not answer", hint: "is `searchkit serve` still running?" });
  }
}

export const get = (path, options = {}) => ask(path, options);

export const post = (path, body, options = {}) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}), ...options });

export function upload(blob, name) {
  const form = new FormData();
  form.append("file", blob, name);
  return ask("/v1/uploads", { method: "POST", body: form });
}

export const thumbnailUrl = (segmentId, size = 320) => `/v1/segments/${segmentId}/thumbnail?size=${size}`;
export const mediaUrl = (assetId) => `/v1/assets/${assetId}/media`;
