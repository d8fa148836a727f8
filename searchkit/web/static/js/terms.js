// What a term looks like to a person: its name and its picture, asked of the server once.

import { get, thumbnailUrl } from "./api.js";

const known = new Map();

const uploadId = (value) => value.slice("upload/".length);

async function described(term) {
  if (term.kind === "id") {
    const { asset } = await get(`/v1/segments/${term.value}`);
    const pictured = asset.modality === "image" || asset.modality === "video";
    return { label: asset.name, kind: asset.modality, picture: pictured ? thumbnailUrl(term.value, 160) : null, asset };
  }
  if (term.value.startsWith("upload/")) {
    const upload = await get(`/v1/uploads/${uploadId(term.value)}`);
    const preview = `/v1/uploads/${uploadId(term.value)}/preview`;
    return { label: upload.name, kind: upload.modality, picture: upload.modality === "audio" ? null : preview, upload };
  }
  return { label: term.value.split("/").pop(), kind: term.kind, picture: null };
}

/** Label, kind and picture of a term; words are their own label. */
export async function describe(term) {
  if (term.kind === "text") return { label: term.value, kind: "text", picture: null };
  const key = `${term.kind}:${term.value}`;
  if (!known.has(key)) {
    known.set(key, described(term));
    known.get(key).catch(() => known.delete(key));
  }
  try {
    return await known.get(key);
  } catch {
    return { label: term.kind === "id" ? `segment ${term.value}` : term.value, kind: term.kind === "id" ? "text" : term.kind, picture: null };
  }
}

/** Where the bytes of a picture term can be fetched, for cropping; null when it is none. */
export async function pictureOf(term) {
  const { upload, asset } = await describe(term);
  if (upload?.modality === "image") return `/v1/uploads/${uploadId(term.value)}/media`;
  if (asset?.modality === "image" || asset?.modality === "video") return thumbnailUrl(term.value, 1280);
  return null;
}
