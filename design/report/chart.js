// A chart in SVG: points with error bars and lines over two linear axes. A click picks the nearest
// point, the arrow keys go through them, a dragged frame magnifies, a double click shows all.

const MARGIN = { left: 68, right: 14, top: 12, bottom: 44 };
const SHAPES = {
  // of points, about the origin
  circle: (r) => `M${r},0A${r},${r} 0 1 1 ${-r},0A${r},${r} 0 1 1 ${r},0`,
  square: (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  diamond: (r) => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0Z`,
  triangle: (r) => `M0,${-1.2 * r}L${1.15 * r},${0.9 * r}H${-1.15 * r}Z`,
};
const NEAR = 40; // pixels: a click that is farther from every point picks none

class Chart {
  // host: an element to fill; pick: called with the id of a point
  constructor(host, pick = null) {
    this.host = host;
    this.pick = pick;
    this.hidden = new Set();
    this.window = null;
    this.legend = element("ul", { class: "legend" });
    this.frame = element("div", { class: "plot" });
    this.tip = element("div", { class: "tip", role: "status", hidden: "" });
    host.replaceChildren(this.legend, this.frame);
    if (pick) this.listen();
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  // What to show: { label, x: { label, range? }, y, series, diagonal?, picked? }; each series has
  // name, look, shape, size, points { x, y, dx?, dy?, id?, title? } and may be a line.
  set(plot) {
    this.plot = plot;
    this.window = null;
    this.draw();
  }

  choose(id) {
    this.plot.picked = id;
    this.draw();
  }

  get shown() {
    return this.plot.series.filter((series) => !this.hidden.has(series.name));
  }

  draw() {
    if (!this.plot || !this.frame.clientWidth) return;
    this.width = this.frame.clientWidth;
    this.height = this.frame.clientHeight;
    this.setScales();
    const svg = element("svg", {
      width: this.width,
      height: this.height,
      role: "img",
      "aria-label": this.plot.label,
    });
    svg.append(...this.grid());
    const inside = element("svg", {
      x: MARGIN.left,
      y: MARGIN.top,
      width: this.width - MARGIN.left - MARGIN.right,
      height: this.height - MARGIN.top - MARGIN.bottom,
      viewBox: [
        MARGIN.left,
        MARGIN.top,
        this.width - MARGIN.left - MARGIN.right,
        this.height - MARGIN.top - MARGIN.bottom,
      ].join(" "),
    });
    if (this.plot.diagonal) inside.append(this.diagonal());
    for (const series of this.shown) inside.append(this.series(series));
    inside.append(...this.emphasis());
    svg.append(inside);
    this.frame.replaceChildren(svg, this.tip);
    this.drawLegend();
  }

  setScales() {
    const points = this.shown.flatMap((series) => series.points);
    const { left, right, top, bottom } = MARGIN;
    const x = this.window?.x ?? this.plot.x.range ?? extent(points, "x", "dx");
    const y = this.window?.y ?? this.plot.y.range ?? extent(points, "y", "dy");
    if (this.plot.diagonal && !this.window && !this.plot.x.range) {
      x[0] = y[0] = Math.min(x[0], y[0]);
      x[1] = y[1] = Math.max(x[1], y[1]);
    }
    this.x = scale(x, [left, this.width - right]);
    this.y = scale(y, [this.height - bottom, top]);
  }

  grid() {
    const { x, y, plot } = this,
      made = [];
    const low = this.height - MARGIN.bottom;
    const across = (this.width - MARGIN.left - MARGIN.right) / 90;
    for (const { value, text } of ticks(x.domain, across)) {
      const at = x(value);
      made.push(element("line", { class: "grid", x1: at, x2: at, y1: MARGIN.top, y2: low }));
      made.push(
        element(
          "text",
          {
            class: "tick",
            x: at,
            y: low + 17,
            "text-anchor": "middle",
          },
          text,
        ),
      );
    }
    for (const { value, text } of ticks(y.domain, (low - MARGIN.top) / 55)) {
      const at = y(value),
        end = this.width - MARGIN.right;
      made.push(element("line", { class: "grid", x1: MARGIN.left, x2: end, y1: at, y2: at }));
      made.push(
        element(
          "text",
          {
            class: "tick",
            x: MARGIN.left - 8,
            y: at + 4,
            "text-anchor": "end",
          },
          text,
        ),
      );
    }
    const middle = (MARGIN.left + this.width - MARGIN.right) / 2,
      half = (low + MARGIN.top) / 2;
    made.push(
      element(
        "text",
        {
          class: "axis",
          x: middle,
          y: this.height - 6,
          "text-anchor": "middle",
        },
        plot.x.label,
      ),
    );
    made.push(
      element(
        "text",
        {
          class: "axis",
          transform: `translate(13 ${half}) rotate(-90)`,
          "text-anchor": "middle",
        },
        plot.y.label,
      ),
    );
    return made;
  }

  diagonal() {
    const low = Math.max(this.x.domain[0], this.y.domain[0]);
    const high = Math.min(this.x.domain[1], this.y.domain[1]);
    return element("line", {
      class: "diagonal",
      x1: this.x(low),
      y1: this.y(low),
      x2: this.x(high),
      y2: this.y(high),
    });
  }

  series({ look, shape, size, points, line }) {
    const group = element("g", { class: `series ${look}` });
    const drawn = points.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y));
    if (line) {
      const along = drawn.map((p) => `${this.x(p.x).toFixed(1)},${this.y(p.y).toFixed(1)}`);
      group.append(element("polyline", { points: along.join(" ") }));
      return group;
    }
    for (const point of drawn) group.append(...this.bars(point), this.mark(point, shape, size));
    return group;
  }

  mark(point, shape, size) {
    return element("path", {
      class: "mark",
      d: SHAPES[shape](size),
      transform: `translate(${this.x(point.x).toFixed(1)} ${this.y(point.y).toFixed(1)})`,
    });
  }

  bars({ x, y, dx, dy }) {
    const made = [];
    if (dx) made.push([this.x(x - dx), this.y(y), this.x(x + dx), this.y(y)]);
    if (dy) made.push([this.x(x), this.y(y - dy), this.x(x), this.y(y + dy)]);
    return made.map(([x1, y1, x2, y2]) => element("line", { class: "bar", x1, y1, x2, y2 }));
  }

  // The points of what is picked, once more and above all others.
  emphasis() {
    const made = [];
    if (this.plot.picked === undefined) return made;
    const of = this.plot.series.flatMap((series) =>
      series.points.filter((p) => p.id === this.plot.picked).map((point) => ({ series, point })),
    );
    if (of.length > 1) {
      const along = of.map(({ point }) => `${this.x(point.x)},${this.y(point.y)}`);
      made.push(element("polyline", { class: "link", points: along.join(" ") }));
    }
    for (const { series, point } of of) {
      const group = element("g", { class: `series picked ${series.look}` });
      group.append(...this.bars(point), this.mark(point, series.shape, series.size + 2.5));
      made.push(group);
    }
    return made;
  }

  drawLegend() {
    const keys = this.plot.series.filter(({ points }) =>
      points.some((p) => Number.isFinite(p.x) && Number.isFinite(p.y)),
    );
    this.legend.replaceChildren(
      ...keys.map(({ name, look, shape, line, size }) => {
        const drawn = line
          ? element("polyline", { points: "0,6 16,6" })
          : element("path", {
              class: "mark",
              d: SHAPES[shape](Math.min(size, 4.5)),
              transform: "translate(8 6)",
            });
        const swatch = element(
          "svg",
          {
            width: 16,
            height: 12,
            class: `series ${look}`,
            "aria-hidden": "true",
          },
          drawn,
        );
        const shown = !this.hidden.has(name);
        const pressed = String(shown);
        const button = element("button", { type: "button", "aria-pressed": pressed }, swatch, name);
        button.onclick = () => {
          shown ? this.hidden.add(name) : this.hidden.delete(name);
          this.draw();
        };
        return element("li", {}, button);
      }),
    );
  }

  listen() {
    const { frame } = this;
    frame.tabIndex = 0;
    frame.setAttribute("role", "application");
    frame.setAttribute("aria-label", "Chart of the units: arrow keys go from one to the next");
    frame.addEventListener("keydown", (event) => this.step(event));
    frame.addEventListener("pointermove", (event) => this.hover(event));
    frame.addEventListener("pointerleave", () => {
      this.tip.hidden = true;
    });
    frame.addEventListener("pointerdown", (event) => this.drag(event));
    frame.addEventListener("dblclick", () => {
      this.window = null;
      this.draw();
    });
  }

  // Points that can be picked, with their places in pixels, from left to right.
  places() {
    const inside = (p) => p.id !== undefined && Number.isFinite(p.x) && Number.isFinite(p.y);
    return this.shown
      .flatMap((series) => series.points.filter(inside))
      .map((point) => ({ point, left: this.x(point.x), top: this.y(point.y) }))
      .sort((a, b) => a.left - b.left || a.point.id - b.point.id);
  }

  nearest(event) {
    const box = this.frame.getBoundingClientRect();
    let found = null,
      least = NEAR;
    for (const place of this.places()) {
      const away = [place.left + box.left - event.clientX, place.top + box.top - event.clientY];
      const far = Math.hypot(...away);
      if (far < least) [found, least] = [place, far];
    }
    return found;
  }

  hover(event) {
    const near = this.frame.hasPointerCapture(event.pointerId) ? null : this.nearest(event);
    this.tip.hidden = !near;
    this.frame.style.cursor = near ? "pointer" : "crosshair";
    if (!near) return;
    this.tip.textContent = near.point.title;
    const right = near.left > this.width / 2;
    this.tip.style.left = right ? "" : `${near.left + 12}px`;
    this.tip.style.right = right ? `${this.width - near.left + 12}px` : "";
    this.tip.style.top = `${Math.max(near.top - 14, 4)}px`;
  }

  // A click picks; a drag draws a frame to magnify.
  drag(event) {
    const box = this.frame.getBoundingClientRect();
    const place = (e) => [e.clientX - box.left, e.clientY - box.top];
    const from = place(event),
      band = element("div", { class: "band" });
    this.frame.setPointerCapture(event.pointerId);
    const move = (e) => {
      const to = place(e);
      if (Math.hypot(to[0] - from[0], to[1] - from[1]) > 6) this.frame.append(band);
      ["left", "top"].forEach((side, k) => {
        band.style[side] = `${Math.min(from[k], to[k])}px`;
      });
      ["width", "height"].forEach((side, k) => {
        band.style[side] = `${Math.abs(from[k] - to[k])}px`;
      });
    };
    const up = (e) => {
      this.frame.removeEventListener("pointermove", move);
      if (band.parentNode) {
        band.remove();
        this.magnify(from, place(e));
      } else {
        const near = this.nearest(e);
        if (near) this.pick(near.point.id);
      }
    };
    this.frame.addEventListener("pointermove", move);
    this.frame.addEventListener("lostpointercapture", up, { once: true });
  }

  magnify(from, to) {
    const ordered = (a, b) => [Math.min(a, b), Math.max(a, b)];
    const x = ordered(this.x.back(from[0]), this.x.back(to[0]));
    const y = ordered(this.y.back(from[1]), this.y.back(to[1]));
    this.window = { x, y };
    this.draw();
  }

  step(event) {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const ids = [...new Set(this.places().map(({ point }) => point.id))];
    const at = ids.indexOf(this.plot.picked);
    this.pick(ids[(at + way + ids.length) % ids.length]);
  }
}
