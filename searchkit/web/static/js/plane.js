// A plane of coloured points on a canvas: pan, zoom, hover, lasso. It knows no library and no server.

const RANGE = 32000;
const FAR = 40;
const HIT_PX = 9;

export class Plane {
  constructor(canvas, { onChoose, onHover, onOpen }) {
    Object.assign(this, { canvas, onChoose, onHover, onOpen });
    this.context = canvas.getContext("2d");
    this.points = null;
    this.lassoing = false;
    this.lasso = null;
    this.marked = new Set();
    this.chosen = new Set();
    this.hovered = -1;
    this.off = new Set();
    this.pointers = new Map();
    this.fit();
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.hover(-1, 0, 0));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
  }

  show(points) {
    this.points = points;
    this.chosen.clear();
    this.hovered = -1;
    this.recolour();
    this.fit();
  }

  recolour() {
    if (!this.points) return;
    const style = getComputedStyle(document.documentElement);
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (name) => {
      probe.fillStyle = style.getPropertyValue(name).trim() || style.getPropertyValue("--ink").trim();
      probe.fillRect(0, 0, 1, 1);
      return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    this.colours = this.points.modalities.map((modality) => rgb(`--${modality}`));
    this.ink = style.getPropertyValue("--ink").trim();
    this.accent = style.getPropertyValue("--accent").trim();
    this.paint();
  }

  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return;
    const first = !this.width;
    [this.width, this.height, this.ratio] = [width, height, ratio];
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (first) this.fit();
    else this.paint();
  }

  fit() {
    this.scale = (Math.min(this.width ?? 800, this.height ?? 600) * 0.9) / (2 * RANGE);
    [this.x, this.y] = [0, 0];
    this.paint();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const least = (Math.min(this.width, this.height) * 0.4) / (2 * RANGE);
    const next = Math.min(least * FAR * 4, Math.max(least, this.scale * factor));
    const [px, py] = [(x - this.width / 2) / this.scale + this.x, (y - this.height / 2) / this.scale + this.y];
    this.x = px - (x - this.width / 2) / next;
    this.y = py - (y - this.height / 2) / next;
    this.scale = next;
    this.paint();
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.paint();
  }

  toggle(kind, on) {
    if (on) this.off.delete(kind);
    else this.off.add(kind);
    this.paint();
  }

  mark(ids) {
    this.marked = new Set(ids);
    this.paint();
  }

  choose(indices) {
    this.chosen = new Set(indices);
    this.paint();
  }

  place(index) {
    const { xs, ys } = this.points;
    return [(xs[index] - this.x) * this.scale + this.width / 2, (ys[index] - this.y) * this.scale + this.height / 2];
  }

  visible() {
    const found = [];
    for (let index = 0; index < (this.points?.count ?? 0); index += 1) {
      const [x, y] = this.place(index);
      if (!this.off.has(this.points.kinds[index]) && x >= 0 && y >= 0 && x < this.width && y < this.height) found.push(index);
    }
    return found;
  }

  paint() {
    if (this.painting || !this.points || !this.width) return;
    this.painting = requestAnimationFrame(() => {
      this.painting = 0;
      this.draw();
    });
  }

  /** Points go straight into pixels, since a hundred thousand arcs would take seconds. */
  draw() {
    const { context, canvas, ratio, points } = this;
    const [width, height] = [canvas.width, canvas.height];
    const image = context.createImageData(width, height);
    const pixels = image.data;
    const zoomed = this.scale * 2 * RANGE / Math.min(this.width, this.height);
    const crowd = Math.sqrt((points.count / (this.width * this.height)) * 4000);
    const radius = Math.max(1, Math.min(5.5, (4.4 / Math.max(0.9, crowd)) * (crowd > 1 ? zoomed : Math.sqrt(zoomed)))) * ratio;
    const alpha = Math.min(0.92, Math.max(0.35, radius / (3.4 * ratio)));
    const reach = Math.ceil(radius);
    const [ox, oy, scale] = [width / 2 - this.x * this.scale * ratio, height / 2 - this.y * this.scale * ratio, this.scale * ratio];
    for (let index = 0; index < points.count; index += 1) {
      const kind = points.kinds[index];
      if (this.off.has(kind)) continue;
      const cx = points.xs[index] * scale + ox;
      const cy = points.ys[index] * scale + oy;
      if (cx < -reach || cy < -reach || cx > width + reach || cy > height + reach) continue;
      const [r, g, b] = this.colours[kind];
      const faded = this.chosen.size && !this.chosen.has(index) ? alpha * 0.25 : alpha;
      const [x0, x1] = [Math.max(0, Math.floor(cx - reach)), Math.min(width - 1, Math.ceil(cx + reach))];
      const [y0, y1] = [Math.max(0, Math.floor(cy - reach)), Math.min(height - 1, Math.ceil(cy + reach))];
      for (let y = y0; y <= y1; y += 1) {
        for (let x = x0; x <= x1; x += 1) {
          const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x + 0.5 - cx, y + 0.5 - cy)));
          if (!cover) continue;
          const at = 4 * (y * width + x);
          const a = cover * faded;
          const under = (pixels[at + 3] / 255) * (1 - a);
          const over = a + under;
          pixels[at] = (r * a + pixels[at] * under) / over;
          pixels[at + 1] = (g * a + pixels[at + 1] * under) / over;
          pixels[at + 2] = (b * a + pixels[at + 2] * under) / over;
          pixels[at + 3] = over * 255;
        }
      }
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.putImageData(image, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.rings(radius / ratio);
  }

  rings(radius) {
    const { context, points } = this;
    const ring = (index, colour, size) => {
      const [x, y] = this.place(index);
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.stroke();
    };
    if (this.marked.size) {
      for (let index = 0; index < points.count; index += 1) if (this.marked.has(points.ids[index])) ring(index, this.ink, radius + 3);
    }
    if (this.hovered >= 0) ring(this.hovered, this.accent, radius + 4);
    if (this.lasso?.length > 1) {
      context.beginPath();
      for (const [x, y] of this.lasso) context.lineTo(x, y);
      context.closePath();
      context.strokeStyle = this.accent;
      context.setLineDash([6, 4]);
      context.lineWidth = 2;
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 0.1;
      context.fillStyle = this.accent;
      context.fill();
      context.globalAlpha = 1;
    }
  }

  nearest(x, y) {
    let best = -1;
    let least = HIT_PX * HIT_PX;
    for (let index = 0; index < (this.points?.count ?? 0); index += 1) {
      if (this.off.has(this.points.kinds[index])) continue;
      const [px, py] = this.place(index);
      const away = (px - x) ** 2 + (py - y) ** 2;
      if (away < least) [best, least] = [index, away];
    }
    return best;
  }

  hover(index, x, y) {
    const changed = index !== this.hovered;
    this.hovered = index;
    this.onHover(index, x, y);
    if (changed) this.paint();
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.travel = 0;
    if (this.lassoing || event.shiftKey) this.lasso = [[event.offsetX, event.offsetY]];
  }

  moved(event) {
    const here = [event.offsetX, event.offsetY];
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(this.nearest(...here), ...here);
      return;
    }
    this.travel += Math.hypot(here[0] - before[0], here[1] - before[1]);
    if (this.lasso) {
      this.lasso.push(here);
      this.paint();
    } else if (this.pointers.size === 2) this.pinch(event.pointerId, before, here);
    else this.pan(here[0] - before[0], here[1] - before[1]);
    this.pointers.set(event.pointerId, here);
  }

  pinch(id, before, here) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const apart = (from) => Math.hypot(from[0] - other[0], from[1] - other[1]) || 1;
    this.zoom(apart(here) / apart(before), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.lasso) {
      const drawn = this.lasso;
      this.lasso = null;
      this.onChoose(drawn.length > 2 ? this.within(drawn) : []);
      this.paint();
    } else if (this.travel < 4 && event.button === 0) {
      const index = this.nearest(event.offsetX, event.offsetY);
      if (index >= 0) this.onOpen(index);
    }
  }

  /** Points inside a polygon, by the even-odd rule. */
  within(polygon) {
    const found = [];
    for (let index = 0; index < this.points.count; index += 1) {
      if (this.off.has(this.points.kinds[index])) continue;
      const [x, y] = this.place(index);
      let inside = false;
      for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
        const [[xi, yi], [xj, yj]] = [polygon[i], polygon[j]];
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
      }
      if (inside) found.push(index);
    }
    return found;
  }
}
