// Records a sound from the microphone and searches with it; sent as WAV, which every browser can be made to give.

import { clear, icon, toast } from "./dom.js";
import { clock } from "./format.js";
import { searchWithFile } from "./media.js";

const MAX_S = 60;
let recording = null;

/** Record, or end the recording and search with it; `showRecording` hears what to tell meanwhile. */
export async function toggleRecording(button, showRecording) {
  if (recording) {
    recording.stop();
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    toast("the microphone cannot be used", { hint: "allow it for this page; browsers only offer it on localhost and https", kind: "error" });
    return;
  }
  const recorder = new MediaRecorder(stream);
  const parts = [];
  const started = performance.now();
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const levels = new Uint8Array(analyser.fftSize);
  const tick = () => {
    if (!recording) return;
    analyser.getByteTimeDomainData(levels);
    const loudest = levels.reduce((most, level) => Math.max(most, Math.abs(level - 128)), 0) / 128;
    button.style.setProperty("--level", loudest.toFixed(2));
    showRecording(`Recording ${clock((performance.now() - started) / 1000)}, press the button to search`);
    if (performance.now() - started > MAX_S * 1000) recording.stop();
    else requestAnimationFrame(tick);
  };
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", async () => {
    recording = null;
    for (const track of stream.getTracks()) track.stop();
    button.classList.remove("is-recording");
    button.setAttribute("aria-label", "Record a sound to search with");
    clear(button, icon("mic"));
    showRecording("");
    try {
      const sound = await context.decodeAudioData(await new Blob(parts).arrayBuffer());
      await searchWithFile(wav(sound), "recording.wav");
    } catch {
      toast("nothing was recorded", { kind: "error" });
    } finally {
      context.close();
    }
  });
  recording = recorder;
  recorder.start();
  button.classList.add("is-recording");
  button.setAttribute("aria-label", "Stop recording and search");
  clear(button, icon("stop"));
  tick();
}

/** An AudioBuffer as 16-bit mono WAV. */
function wav(sound) {
  const samples = new Int16Array(sound.length);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  for (let at = 0; at < sound.length; at += 1) {
    const mean = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
    samples[at] = Math.max(-1, Math.min(1, mean)) * 32767;
  }
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((char, index) => head.setUint8(at + index, char.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, sound.sampleRate, true);
  head.setUint32(28, sound.sampleRate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, samples.byteLength, true);
  return new Blob([head, samples], { type: "audio/wav" });
}
