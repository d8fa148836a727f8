// Pictures and sounds on their way into the search: chosen, dropped or pasted.

import { upload } from "./api.js";
import { el, toast } from "./dom.js";
import { addTerm, ask, state } from "./state.js";

const picker = el("input", { type: "file", accept: "image/*,audio/*,video/*", multiple: true, hidden: true, "aria-label": "Media to search with", tabindex: "-1" });
const TEXT_CHARS = 2000;

export function pickFile() {
  picker.value = "";
  picker.click();
}

/** Send a file and search with it. */
export async function searchWithFile(blob, name = blob.name || "recording") {
  if (blob.type.startsWith("text/") && blob.size < 100_000) {
    addTerm({ kind: "text", value: (await blob.text()).slice(0, TEXT_CHARS), weight: 1 });
    return;
  }
  document.body.classList.add("is-sending");
  try {
    const kept = await upload(blob, name);
    addTerm({ kind: kept.modality, value: kept.id, weight: 1 });
  } catch (problem) {
    toast(problem.message, { hint: problem.hint, kind: "error" });
  } finally {
    document.body.classList.remove("is-sending");
  }
}

async function searchWithFiles(files) {
  for (const file of files) await searchWithFile(file);
}

export function startMedia(overlay) {
  document.body.append(picker);
  picker.addEventListener("change", () => searchWithFiles([...picker.files]));
  let depth = 0;
  const isDrag = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "application/x-searchkit-segment");
  const show = (shown) => {
    overlay.hidden = !shown;
    if (!shown) depth = 0;
  };
  addEventListener("dragenter", (event) => {
    if (!isDrag(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (isDrag(event) && --depth <= 0) show(false);
  });
  addEventListener("dragover", (event) => isDrag(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!isDrag(event)) return;
    event.preventDefault();
    show(false);
    const segment = event.dataTransfer.getData("application/x-searchkit-segment");
    if (segment) addTerm({ kind: "id", value: segment, weight: 1 });
    else searchWithFiles([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      searchWithFiles(files);
    } else if (!event.target.closest?.("input, textarea, [contenteditable]")) {
      const words = event.clipboardData?.getData("text/plain").trim();
      if (words) {
        state.words = words.slice(0, TEXT_CHARS);
        document.dispatchEvent(new Event("terms"));
        ask();
      }
    }
  });
}
