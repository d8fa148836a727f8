// Results as justified rows that fill as the page scrolls; arrow keys move between them.

import { el } from "./dom.js";
import { aspectOf, isGood, tile } from "./tiles.js";

const GAP = 14;
const LINE = 34;

const rowHeight = (width) => (width < 480 ? 150 : width < 900 ? 180 : 220);

/** A grid; `act` hears what is done to results, `more` is called when the end comes near. */
export class Grid {
  constructor({ act, more, label }) {
    this.act = act;
    this.tiles = [];
    this.results = [];
    this.words = [];
    this.list = el("ul", { class: "grid", "aria-label": label });
    this.end = el("div", { class: "grid__end", "aria-hidden": "true" });
    this.element = el("div", {}, this.list, this.end);
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("focusin", (event) => this.tabTo(event.target));
    new ResizeObserver(() => this.lay()).observe(this.list);
    if (more) new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), { rootMargin: "900px" }).observe(this.end);
  }

  clear() {
    this.tiles = [];
    this.results = [];
    this.seen = new Set();
    this.divided = false;
    this.laid = 0;
    this.list.replaceChildren();
  }

  /** Adds results; those that are no good match by the library's cut-off come after a divide. */
  add(results, words = [], cutoff = 0) {
    this.seen ??= new Set();
    for (const result of results) {
      if (this.seen.has(result.segment_id)) continue;
      this.seen.add(result.segment_id);
      const good = isGood(result, cutoff);
      if (!good && !this.divided) {
        this.divided = true;
        this.list.append(el("li", { class: "grid__divide" }, this.results.length ? "Unlikely matches" : "Nothing is a good match; the nearest are"));
      }
      const made = tile(result, this.tiles.length, this.act, words, good);
      this.tiles.push(made);
      this.results.push(result);
      this.list.append(made.element);
    }
    this.lay();
  }

  remove(result) {
    const index = this.results.indexOf(result);
    if (index < 0) return;
    this.tiles[index].element.remove();
    this.tiles.splice(index, 1);
    this.results.splice(index, 1);
    this.lay();
    this.focus(Math.min(index, this.tiles.length - 1));
  }

  /** Widths and heights, so that every row but the last fills the width. */
  lay() {
    // clientWidth rounds up, and a row that is half a pixel too wide breaks.
    const width = Math.floor(this.list.getBoundingClientRect().width);
    if (!width || (width === this.width && this.laid === this.tiles.length)) return;
    [this.width, this.laid] = [width, this.tiles.length];
    const height = rowHeight(width);
    let row = [];
    let sum = 0;
    const finish = (full) => {
      if (!row.length) return;
      const free = width - GAP * (row.length - 1);
      const fitted = full ? Math.min(free / sum, height * 1.45) : Math.min(height, free / sum);
      let left = free;
      row.forEach(([made, aspect], index) => {
        const isLast = full && index === row.length - 1 && fitted < height * 1.45;
        const wide = isLast ? left : Math.floor(aspect * fitted);
        left -= wide;
        made.element.style.width = `${wide}px`;
        made.element.style.height = `${Math.round(fitted) + LINE}px`;
      });
      [row, sum] = [[], 0];
    };
    this.tiles.forEach((made, index) => {
      if (made.element.previousElementSibling?.classList.contains("grid__divide")) finish(false);
      const aspect = aspectOf(this.results[index]);
      row.push([made, aspect]);
      sum += aspect;
      if (sum * height + GAP * (row.length - 1) >= width) finish(true);
    });
    finish(false);
  }

  focus(index) {
    const made = this.tiles[index];
    if (!made) return false;
    this.tabTo(made.open);
    made.open.focus({ preventScroll: true });
    made.element.scrollIntoView({ block: "nearest" });
    return true;
  }

  tabTo(target) {
    const open = target.closest(".tile")?.querySelector(".tile__open");
    if (!open) return;
    for (const { open: other } of this.tiles) other.tabIndex = other === open ? 0 : -1;
  }

  current() {
    return this.tiles.findIndex(({ element }) => element.contains(document.activeElement));
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
    const index = this.current();
    if (index < 0) return;
    const result = this.results[index];
    const go = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: this.tiles.length - 1, ArrowDown: this.below(index, 1), ArrowUp: this.below(index, -1) }[event.key];
    if (go !== undefined) {
      event.preventDefault();
      if (go === null || go < 0) document.dispatchEvent(new Event("focus-search"));
      else this.focus(Math.min(go, this.tiles.length - 1));
      return;
    }
    const name = { " ": "open", m: "more", l: "less", n: "not", c: "copy", o: "file" }[event.key];
    if (event.key === "p") this.tiles[index].play?.();
    if (!name || (event.key === " " && !event.target.matches(".tile__open"))) return;
    event.preventDefault();
    this.act(name, result);
  }

  /** The tile in the next row whose middle is nearest. */
  below(index, direction) {
    const from = this.tiles[index].element.getBoundingClientRect();
    const middle = from.left + from.width / 2;
    let best = null;
    let rowTop = null;
    for (let at = index + direction; at >= 0 && at < this.tiles.length; at += direction) {
      const box = this.tiles[at].element.getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 4) continue;
      if (rowTop === null) rowTop = box.top;
      else if (Math.abs(box.top - rowTop) > 4) break;
      const away = Math.abs(box.left + box.width / 2 - middle);
      if (!best || away < best.away) best = { at, away };
    }
    if (best) return best.at;
    return direction < 0 ? null : this.tiles.length - 1;
  }
}
