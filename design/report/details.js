// All that is known of one unit.

const ROWS = ["E", "nu", "K", "G"];
const BAR = 190; // pixels of the picture of an interval

class Details {
  // host: element to fill; report: the data of the page
  constructor(host, report) {
    this.host = host;
    this.report = report;
  }

  show(unit) {
    this.host.replaceChildren(
      element(
        "header",
        {},
        element("h2", {}, unit.name),
        element("p", { class: "muted" }, this.kind(unit)),
        this.downloads(unit),
      ),
      ...unit.problems.map(({ text }) => element("p", { class: "problem" }, text)),
      element("div", { class: "columns" }, this.properties(unit), this.facts(unit)),
    );
  }

  kind(unit) {
    if (unit.kind === "rival") return "a rival by topology optimization: nothing was predicted";
    if (unit.kind === "start") return "one of the best units that the search started from";
    const place = unit.front ? "on the front" : "not on the front";
    return `round ${unit.round}, ${place}`;
  }

  downloads(unit) {
    const octant = () => new Octant(unit.octant, unit.edge);
    const name =
      unit.kind === "design"
        ? `design-${String(unit.row).padStart(3, "0")}`
        : `${unit.kind}-${unit.row}`;
    const make = {
      npy: () => npyFile(octant()),
      stl: () => stlFile(octant()),
      csv: () => csvFile(this.report.tables[unit.kind], unit.row),
    };
    const titles = {
      npy: "All voxels, for homog solve and numpy",
      csv: "All numbers",
      stl: `The voxels as a closed surface, ${SIZE} mm wide; homog export --smooth rounds it`,
    };
    return element(
      "p",
      { class: "downloads" },
      ...Object.entries(make).map(([ending, file]) => {
        const button = element("button", { type: "button", title: titles[ending] }, `.${ending}`);
        button.setAttribute("aria-label", `Download ${name}.${ending}`);
        button.onclick = () => download(`${name}.${ending}`, file());
        return button;
      }),
    );
  }

  properties(unit) {
    const edge = unit.edge;
    const heads = [
      "",
      "predicted",
      "aleatoric",
      "epistemic",
      "total",
      `FE ${edge}³`,
      "± solid",
      "off",
      `FE ${2 * edge}³`,
      "",
    ];
    const titles = {
      aleatoric: "Deviation because the solid scatters, predicted",
      epistemic: "Deviation because the surrogate does not know better",
      "± solid": "True deviation under scatter of the solid, from sampled solids",
      off: "The prediction, relative to finite elements",
    };
    const head = heads.map((text) => element("th", { scope: "col", title: titles[text] }, text));
    const rows = ROWS.map((name) => {
      const { mean, aleatoric, epistemic, total } = unit.predicted?.[name] ?? {};
      const cells = [
        readable(mean),
        readable(aleatoric, 3),
        readable(epistemic, 3),
        readable(total, 3),
        readable(unit.values[name]),
        readable(unit.sampled?.[name], 3),
        percent(errorOf(unit, name)),
        readable(unit.fine?.[name]),
      ];
      const looks = ["predicted", "", "", "", "true", "", "", "true"];
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, nameOf(name)),
        ...cells.map((text, n) => element("td", { class: looks[n] || undefined }, text)),
        element("td", {}, intervals(unit, name)),
      );
    });
    return element(
      "div",
      { class: "scroll" },
      element(
        "table",
        { class: "properties" },
        element("thead", {}, element("tr", {}, ...head)),
        element("tbody", {}, ...rows),
      ),
    );
  }

  facts(unit) {
    const parts =
      unit.parts === undefined
        ? "–"
        : unit.parts === 1
          ? "one part carries all load"
          : `${unit.parts} parts`;
    const ratio = unit.fine
      ? `${readable(unit.values.K_ratio)}, at ${2 * unit.edge}³ ${readable(unit.fine.K_ratio)}`
      : readable(unit.values.K_ratio);
    const facts = {
      density: readable(unit.values.density),
      "K / K_HS": ratio,
      "Zener ratio": readable(unit.values.zener),
      solid: parts,
      void: unit.open_cell === undefined ? "–" : unit.open_cell ? "open to all faces" : "closed",
      "smallest feature": unit.feature === undefined ? "–" : `${unit.feature} voxels`,
    };
    return element(
      "dl",
      {},
      ...Object.entries(facts).flatMap(([name, value]) => [
        element("dt", {}, name),
        element("dd", {}, value),
      ]),
    );
  }
}

// Predicted mean with two total (thin) and two aleatoric deviations (thick), finite elements with
// two deviations of the solid's scatter, and the finer grid.
function intervals(unit, name) {
  const predicted = unit.predicted?.[name],
    true_ = unit.values[name],
    fine = unit.fine?.[name];
  const scatter = unit.sampled?.[name] ?? 0;
  const ends = [true_ - 2 * scatter, true_ + 2 * scatter, fine ?? true_];
  if (predicted)
    ends.push(predicted.mean - 2 * predicted.total, predicted.mean + 2 * predicted.total);
  const finite = ends.filter(Number.isFinite);
  if (!predicted || true_ === null) return element("span", { class: "muted" }, "–");
  const x = scale([Math.min(...finite), Math.max(...finite)], [6, BAR - 6]);
  const bar = (look, middle, half, y) =>
    element("line", {
      class: look,
      x1: x(middle - half),
      x2: x(middle + half),
      y1: y,
      y2: y,
    });
  const mark = (shape, look, value, y) =>
    element("path", {
      class: `mark ${look}`,
      d: SHAPES[shape](3.6),
      transform: `translate(${x(value)} ${y})`,
    });
  const { mean, total, aleatoric } = predicted;
  return element(
    "svg",
    {
      width: BAR,
      height: 30,
      role: "img",
      class: "intervals",
      "aria-label": `${nameOf(name)}: predicted ${readable(mean)} ± ${readable(2 * total, 3)}, finite elements ${readable(true_)}`,
    },
    bar("total", mean, 2 * total, 9),
    bar("aleatoric", mean, 2 * aleatoric, 9),
    mark("circle", "predicted", mean, 9),
    bar("scatter", true_, 2 * scatter, 22),
    Number.isFinite(fine) ? mark("square", "fine", fine, 22) : null,
    mark("square", "true", true_, 22),
  );
}
