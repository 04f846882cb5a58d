// The table of all units, with a small picture of each.

const SMALL = 52; // pixels of a picture

class Gallery {
  // host: element to fill; pick: called with the id of a unit
  constructor(host, units, goals, pick) {
    this.units = units;
    this.best = bestOfEachKind(units, goals);
    this.pick = pick;
    this.kind = "all";
    this.order = null;
    this.columns = columnsOf(units, goals);
    this.body = element("tbody");
    this.rows = units.map((unit, id) => this.row(unit, id));
    host.append(
      this.filters(),
      element(
        "div",
        { class: "scroll tall" },
        element("table", { class: "units" }, this.head(), this.body),
      ),
    );
    this.arrange();
  }

  choose(id) {
    this.rows.forEach((row, n) => row.toggleAttribute("data-picked", n === id));
  }

  filters() {
    const kinds = {
      all: "all",
      front: "front",
      best: "best of each kind",
      design: "designs",
      start: "start",
      rival: "rivals",
    };
    const made = element("p", { class: "filters", role: "group", "aria-label": "Which units" });
    for (const [kind, text] of Object.entries(kinds)) {
      const count = this.units.filter((unit) => this.isOf(unit, kind)).length;
      if (!count) continue;
      const pressed = String(kind === this.kind);
      const button = element(
        "button",
        { type: "button", "aria-pressed": pressed },
        `${text} ${count}`,
      );
      button.onclick = () => {
        this.kind = kind;
        for (const other of made.children) other.setAttribute("aria-pressed", other === button);
        this.arrange();
      };
      made.append(button);
    }
    return made;
  }

  head() {
    const cells = this.columns.map((column) => {
      const button = element("button", { type: "button" }, column.label);
      const cell = element("th", { scope: "col", class: column.look }, button);
      button.onclick = () => this.sort(column, cell);
      return cell;
    });
    const picture = element("th", { "aria-label": "picture" });
    return element("thead", {}, element("tr", {}, picture, ...cells));
  }

  // By a column, the greatest first; another click turns the order.
  sort(column, cell) {
    const turned = this.order?.column === column ? -this.order.sign : -1;
    for (const other of cell.parentNode.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", turned < 0 ? "descending" : "ascending");
    this.order = { column, sign: turned };
    this.arrange();
  }

  row(unit, id) {
    const pixels = 2 * SMALL;
    const canvas = element("canvas", { width: pixels, height: pixels, "aria-hidden": "true" });
    const cells = this.columns.map((column, n) => {
      if (n) return element("td", { class: column.look }, column.text(unit));
      const button = element("button", { type: "button", class: "name" }, unit.name);
      return element("th", { scope: "row" }, button);
    });
    const row = element("tr", { "data-id": id }, element("td", {}, canvas), ...cells);
    row.onclick = () => this.pick(id);
    return row;
  }

  arrange() {
    const ids = [...this.units.keys()].filter((id) => this.isOf(this.units[id], this.kind));
    if (this.order) {
      const { column, sign } = this.order,
        last = -sign * Infinity;
      const value = (id) => column.value(this.units[id]) ?? last;
      ids.sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) || a - b);
    }
    this.body.replaceChildren(...ids.map((id) => this.rows[id]));
  }

  isOf(unit, kind) {
    if (kind === "front") return Boolean(unit.front);
    if (kind === "best") return this.best.has(unit);
    return kind === "all" || unit.kind === kind;
  }

  // Draw the pictures of the rows that come into view, when there is time for it.
  drawPictures(colours) {
    const canvas = element("canvas");
    const viewer = new Viewer(canvas);
    viewer.colours = colours;
    const draw = (row) => {
      const unit = this.units[row.dataset.id],
        target = row.querySelector("canvas");
      viewer.show(new Octant(unit.octant, unit.edge));
      viewer.drawAt(SMALL, SMALL, 4);
      target.getContext("2d").drawImage(canvas, 0, 0, target.width, target.height);
    };
    this.waiting = [];
    const work = () => {
      const row = this.waiting.shift();
      if (!row) return;
      draw(row);
      whenIdle(work);
    };
    const seen = new IntersectionObserver(
      (entries) => {
        const rows = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
        rows.forEach((row) => seen.unobserve(row));
        if (!this.waiting.length) whenIdle(work);
        this.waiting.push(...rows);
      },
      { rootMargin: "200px" },
    );
    this.rows.forEach((row) => seen.observe(row));
  }
}

// Of designs, units of the start and rivals the best in each goal.
function bestOfEachKind(units, goals) {
  const found = new Set();
  for (const kind of new Set(units.map((unit) => unit.kind))) {
    for (const { name, maximize } of goals) {
      const mine = units.filter(
        (unit) => unit.kind === kind && unit.front !== false && Number.isFinite(unit.values[name]),
      );
      const sign = maximize ? -1 : 1;
      mine.sort((a, b) => sign * (a.values[name] - b.values[name]));
      if (mine.length) found.add(mine[0]);
    }
  }
  return found;
}

function columnsOf(units, goals) {
  const first = goals.find((goal) => goal.name !== "density")?.name ?? "K";
  const drift = (unit) => unit.fine?.[first] && unit.fine[first] / unit.values[first] - 1;
  const column = (label, look, value, text) => ({ label, look, value, text });
  const share = (label, of) => column(label, "number", of, (unit) => percent(of(unit)));
  return [
    column(
      "unit",
      "",
      (unit) => unit.name,
      (unit) => unit.name,
    ),
    column(
      "round",
      "number",
      (unit) => unit.round,
      (unit) => given(unit.round),
    ),
    column(
      "front",
      "text",
      (unit) => Number(Boolean(unit.front)),
      (unit) => (unit.front ? "●" : ""),
    ),
    ...["density", "E", "nu", "K", "G", "K_ratio"].map((name) =>
      column(
        nameOf(name),
        "number",
        (unit) => unit.values[name],
        (unit) => readable(unit.values[name]),
      ),
    ),
    share(`${nameOf(first)} off`, (unit) => errorOf(unit, first)),
    share(`${nameOf(first)} at 2×`, drift),
    column(
      "void",
      "text",
      (unit) => Number(unit.open_cell),
      (unit) => (unit.open_cell ? "open" : "closed"),
    ),
    column(
      "feature",
      "number",
      (unit) => unit.feature,
      (unit) => given(unit.feature),
    ),
    column(
      "to note",
      "note",
      (unit) => unit.problems.length,
      (unit) => unit.problems.map(({ text }) => text).join("; "),
    ),
  ];
}
