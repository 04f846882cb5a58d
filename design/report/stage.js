// The view of a unit with all that moves it: pointer, wheel, keys, tiles and section.

const NORMALS = { "(100)": [1, 0, 0], "(110)": [1, 1, 0], "(111)": [1, 1, 1] };

class Stage {
  // host: element with a canvas and the controls of the page
  constructor(host) {
    this.canvas = host.querySelector("canvas");
    this.viewer = new Viewer(this.canvas);
    this.paint();
    this.listenToPointers();
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    for (const input of host.querySelectorAll("[name=tiles]")) {
      input.onchange = () =>
        this.change(() => {
          this.viewer.tiles = Number(input.value);
        });
    }
    const plane = host.querySelector("[name=plane]"),
      share = host.querySelector("[name=share]");
    plane.append(...Object.keys(NORMALS).map((name) => element("option", {}, name)));
    plane.onchange = share.oninput = () =>
      this.change(() => {
        this.viewer.section = { normal: NORMALS[plane.value], share: share.value / 100 };
      });
    host.querySelector("[name=reset]").onclick = () => this.change(() => this.viewer.reset());
    new ResizeObserver(() => this.viewer.draw()).observe(this.canvas);
  }

  show(octant) {
    this.change(() => this.viewer.show(octant));
  }

  // Take the colours of the page.
  paint() {
    const style = getComputedStyle(this.canvas);
    const linear = (text) =>
      text
        .match(/[\d.]+/g)
        .slice(0, 3)
        .map((x) => (x / 255) ** 2.2);
    this.viewer.colours = { body: linear(style.color), cut: linear(style.outlineColor) };
  }

  // Change the view: drawn coarsely at once, and finely when nothing more changes.
  change(how) {
    how();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    this.frame = requestAnimationFrame(() => this.viewer.draw(true));
    this.rest = setTimeout(() => this.viewer.draw(), 180);
  }

  listenToPointers() {
    const { canvas, viewer } = this;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.change(() => viewer.turn(0.008 * event.movementX, 0.008 * event.movementY));
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (document.activeElement !== canvas) return; // who scrolls the page passes by
        event.preventDefault();
        this.change(() => viewer.magnify(Math.exp(-0.0012 * event.deltaY)));
      },
      { passive: false },
    );
    canvas.addEventListener("dblclick", () => this.change(() => viewer.reset()));
  }

  key(event) {
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const factor = { "+": 1.15, "=": 1.15, "-": 1 / 1.15 }[event.key];
    const turn = turns[event.key];
    if (turn) this.change(() => this.viewer.turn(0.12 * turn[0], 0.12 * turn[1]));
    else if (factor) this.change(() => this.viewer.magnify(factor));
    else if (event.key === "0") this.change(() => this.viewer.reset());
    else return;
    event.preventDefault();
  }
}
