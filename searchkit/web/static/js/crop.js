// Cuts a region out of a picture to search with, by pointer or by keyboard.

import { upload } from "./api.js";
import { clear, el, toast } from "./dom.js";

const dialog = document.getElementById("crop");
const STEP = 0.02;
const LEAST = 0.05;

/** Let a person choose a region of a picture; `done` gets the upload of what was cut out. */
export function openCrop(url, done) {
  const picture = el("img", { src: url, alt: "", class: "crop__picture", draggable: "false" });
  const region = { x: 0.2, y: 0.2, w: 0.6, h: 0.6 };
  const box = el("div", {
    class: "crop__box",
    tabindex: "0",
    role: "application",
    "aria-label": "Region: arrow keys move it, with Shift they resize it",
  }, ["nw", "ne", "sw", "se"].map((corner) => el("span", { class: `crop__corner crop__corner--${corner}`, data: { corner } })));
  const place = () => {
    for (const [name, value] of [["left", region.x], ["top", region.y], ["width", region.w], ["height", region.h]]) box.style.setProperty(name, `${value * 100}%`);
  };
  const frame = el("div", { class: "crop__frame" }, picture, box);
  const search = el("button", { type: "button", class: "button button--main", onclick: () => cut(picture, region, done) }, "Search with this part");
  clear(
    dialog,
    el("h2", { class: "sheet__title" }, "Choose a part of the picture"),
    frame,
    el("div", { class: "sheet__actions" }, el("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"), search),
  );
  box.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [0, 0];
    if (event.key === "Enter") search.click();
    if (!dx && !dy) return;
    event.preventDefault();
    if (event.shiftKey) resize(region, dx, dy, "se");
    else move(region, dx, dy);
    place();
  });
  frame.addEventListener("pointerdown", (event) => drag(event, frame, region, place));
  place();
  dialog.showModal();
  box.focus();
}

const held = (value, low, high) => Math.min(high, Math.max(low, value));

function move(region, dx, dy) {
  region.x = held(region.x + dx, 0, 1 - region.w);
  region.y = held(region.y + dy, 0, 1 - region.h);
}

function resize(region, dx, dy, corner) {
  if (corner.includes("e")) region.w = held(region.w + dx, LEAST, 1 - region.x);
  if (corner.includes("s")) region.h = held(region.h + dy, LEAST, 1 - region.y);
  if (corner.includes("w")) {
    const x = held(region.x + dx, 0, region.x + region.w - LEAST);
    [region.w, region.x] = [region.w + region.x - x, x];
  }
  if (corner.includes("n")) {
    const y = held(region.y + dy, 0, region.y + region.h - LEAST);
    [region.h, region.y] = [region.h + region.y - y, y];
  }
}

function drag(event, frame, region, place) {
  event.preventDefault();
  const bounds = frame.getBoundingClientRect();
  const at = (moved) => [(moved.clientX - bounds.left) / bounds.width, (moved.clientY - bounds.top) / bounds.height];
  let [x, y] = at(event);
  let corner = event.target.dataset.corner;
  const inside = event.target.closest(".crop__box");
  if (!inside) {
    Object.assign(region, { x: held(x, 0, 1 - LEAST), y: held(y, 0, 1 - LEAST), w: LEAST, h: LEAST });
    corner = "se";
  }
  frame.setPointerCapture(event.pointerId);
  const onMove = (moved) => {
    const [nx, ny] = at(moved);
    if (corner) resize(region, nx - x, ny - y, corner);
    else move(region, nx - x, ny - y);
    [x, y] = [nx, ny];
    place();
  };
  frame.addEventListener("pointermove", onMove);
  frame.addEventListener("pointerup", () => frame.removeEventListener("pointermove", onMove), { once: true });
  place();
}

async function cut(picture, region, done) {
  const [left, top] = [region.x * picture.naturalWidth, region.y * picture.naturalHeight];
  const [width, height] = [Math.max(1, region.w * picture.naturalWidth), Math.max(1, region.h * picture.naturalHeight)];
  const scale = Math.min(1, 1024 / Math.max(width, height));
  const canvas = el("canvas", { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });
  canvas.getContext("2d").drawImage(picture, left, top, width, height, 0, 0, canvas.width, canvas.height);
  try {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    done(await upload(blob, "part of a picture.png"));
    dialog.close();
  } catch (problem) {
    toast(problem.message, { hint: problem.hint, kind: "error" });
  }
}
