// Plays one sound at a time, and draws sounds as waves; the part that was found stands out.

import { get, mediaUrl } from "./api.js";
import { el, icon, svg, toast } from "./dom.js";
import { clock } from "./format.js";

const BARS = 72;
const waves = new Map();
const sound = new Audio();
let playing = null;

sound.preload = "none";
sound.addEventListener("timeupdate", () => playing?.moved());
sound.addEventListener("ended", stop);
sound.addEventListener("error", () => playing && !playing.isClip && playing.tryClip());

export function stop() {
  if (!playing) return;
  const ended = playing;
  playing = null;
  sound.pause();
  ended.stopped();
}

function waveOf(assetId) {
  if (!waves.has(assetId)) {
    waves.set(assetId, get(`/v1/assets/${assetId}/waveform`));
    waves.get(assetId).catch(() => waves.delete(assetId));
  }
  return waves.get(assetId);
}

/** Bars of a waveform as one path, in a box of BARS by 100. */
function path(peaks) {
  const per = peaks.length / BARS;
  let d = "";
  for (let bar = 0; bar < BARS; bar += 1) {
    const part = peaks.slice(Math.floor(bar * per), Math.max(Math.floor(bar * per) + 1, Math.floor((bar + 1) * per)));
    const half = Math.max(2, (Math.max(...part, 0) / 100) * 46);
    d += `M${bar + 0.5} ${50 - half}V${50 + half}`;
  }
  return d;
}

/** A sound that can be played: a button and its wave. `result` needs asset_id, start_s, end_s, duration_s. */
export function soundPlayer(result, { lazy = true } = {}) {
  const button = el("button", { type: "button", class: "wave__play", "aria-label": `Play ${result.name}`, tabindex: lazy ? "-1" : "0" }, icon("play", 18));
  const back = svg("path", { class: "wave__bars" });
  const front = svg("path", { class: "wave__bars wave__bars--played" });
  const found = svg("rect", { class: "wave__found", y: "0", height: "100" });
  const played = svg("svg", { x: "0", y: "0", width: "0", height: "100", class: "wave__clip" }, front);
  const drawing = svg("svg", { class: "wave__svg", viewBox: `0 0 ${BARS} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, found, back, played);
  const time = el("span", { class: "wave__time" }, result.duration_s ? clock(result.duration_s) : "");
  const element = el("div", { class: "wave is-loading" }, button, drawing, time);
  back.setAttribute("d", path(new Array(BARS).fill(0)));
  let duration = result.duration_s || 0;
  const offset = () => (voice.isClip ? result.start_s ?? 0 : 0);

  const load = async () => {
    try {
      const wave = await waveOf(result.asset_id);
      element.classList.remove("is-loading");
      duration = wave.duration_s || duration;
      back.setAttribute("d", path(wave.peaks));
      front.setAttribute("d", path(wave.peaks));
      if (result.start_s !== null && duration && result.end_s - result.start_s < duration * 0.98) {
        found.setAttribute("x", String((result.start_s / duration) * BARS));
        found.setAttribute("width", String(((Math.min(result.end_s, duration) - result.start_s) / duration) * BARS));
      }
    } catch {
      element.classList.remove("is-loading");
      element.classList.add("wave--broken");
    }
  };

  const voice = {
    isClip: false,
    moved() {
      const at = sound.currentTime + offset();
      played.setAttribute("width", String(duration ? (at / duration) * BARS : 0));
      time.textContent = `${clock(at)} / ${clock(duration)}`;
    },
    stopped() {
      button.replaceChildren(icon("play", 18));
      button.setAttribute("aria-label", `Play ${result.name}`);
      element.classList.remove("is-playing");
      played.setAttribute("width", "0");
      time.textContent = duration ? clock(duration) : "";
    },
    async tryClip() {
      // The browser may not know the file's format; the server gives the same sound as WAV.
      voice.isClip = true;
      const end = result.end_s ? `&end_s=${result.end_s}` : "";
      sound.src = `/v1/assets/${result.asset_id}/clip?start_s=${result.start_s ?? 0}${end}`;
      await sound.play().catch(() => {
        stop();
        toast(`${result.name} cannot be played`, { kind: "error" });
      });
    },
  };

  const play = async (at) => {
    if (playing !== voice) {
      stop();
      playing = voice;
      voice.isClip = false;
      sound.src = mediaUrl(result.asset_id);
      element.classList.add("is-playing");
      button.replaceChildren(icon("pause", 18));
      button.setAttribute("aria-label", `Stop ${result.name}`);
      sound.currentTime = at;
      await sound.play().catch(() => {});
    } else {
      sound.currentTime = Math.max(0, at - offset());
    }
  };
  const toggle = () => (playing === voice ? stop() : play(result.start_s ?? 0));
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    toggle();
  });
  drawing.addEventListener("click", (event) => {
    if (!duration) return;
    event.stopPropagation();
    const bounds = drawing.getBoundingClientRect();
    play(((event.clientX - bounds.left) / bounds.width) * duration);
  });
  if (lazy) whenSeen(element, load);
  else load();
  return { element, toggle };
}

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      entry.target.whenSeen();
    }
  },
  { rootMargin: "300px" },
);

function whenSeen(element, call) {
  element.whenSeen = call;
  seen.observe(element);
}
