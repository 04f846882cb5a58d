// The page: what was asked and found, and one unit that is chosen everywhere at once.

const report = JSON.parse(byId("data").textContent);
const { units, task } = report;
const axes = quantities(task.goals);

function headline() {
  const named = (maximize) => task.goals.filter((goal) => goal.maximize === maximize)
    .map(({ name }) => nameOf(name)).join(" and ");
  const goals = [named(true) && `Maximize ${named(true)}`, named(false) && `Minimize ${named(false)}`];
  const limits = [task.density === ":" ? null : `density ${task.density}`,
    ...task.bounds, task.min_feature > 1 ? `features from ${task.min_feature} voxels` : null,
    task.open_cell ? "void open to all faces" : null,
    task.samples ? `risk λ = ${given(task.risk)}` : "means alone, without risk"];
  const { E, nu, scatter } = report.solid;
  byId("goals").textContent = goals.filter(Boolean).join(", ");
  byId("limits").textContent = limits.filter(Boolean).join(" · ");
  byId("solid").textContent = `Solid: E = ${given(E)}, ν = ${given(nu)}, `
    + `scatter ${percent(scatter)}; moduli in the unit of that E`;
}

function keyFigures() {
  const designs = units.filter(({ kind }) => kind === "design");
  const front = designs.filter((unit) => unit.front);
  const figures = [[String(designs.length), "verified designs"], [String(front.length), "on the front"]];
  for (const { name, maximize } of task.goals) {
    const values = front.map((unit) => unit.values[name]).filter(Number.isFinite);
    const best = values.length ? (maximize ? Math.max : Math.min)(...values) : null;
    figures.push([readable(best), `best ${nameOf(name)}, finite elements`]);
  }
  if (task.goals.length === 1 && front.length) {
    figures.push([readable(front[0].values.K_ratio, 3), "of it K / K_HS"]);
  }
  for (const [name, error] of Object.entries(report.rounds.at(-1)?.errors ?? {})) {
    figures.push([percent(error), `median error of predicted ${nameOf(name)}, last round`]);
  }
  byId("figures").replaceChildren(...figures.map(([value, text]) =>
    element("li", {}, element("b", {}, value), element("span", {}, text))));
}

function notices() {
  const list = byId("notices"), count = report.notices.length;
  list.hidden = !count;
  list.querySelector("summary").textContent =
    `${count} ${count === 1 ? "thing" : "things"} to note: what failed or is not verified`;
  list.querySelector("ul").replaceChildren(...report.notices.map((text) => element("li", {}, text)));
  list.open = count < 3;
}

class Front {
  constructor(pick) {
    this.chart = new Chart(byId("front"), pick);
    const [first, second] = task.goals.map(({ name }) => name);
    this.axes = ["across", "upwards"].map((id) => byId(id));
    const chosen = second ? [first, second] : [first === "density" ? "K" : `deviation of ${first}`, first];
    this.axes.forEach((select, n) => {
      select.append(...axes.map(({ key, label }) => element("option", { value: key }, label)));
      select.value = chosen[n];
      select.onchange = () => this.draw();
    });
    this.draw();
  }

  choose(id) {
    this.picked = id;
    this.chart.choose(id);
  }

  draw() {
    const [x, y] = this.axes.map((select) => axes.find(({ key }) => key === select.value));
    const points = (kind) => units.flatMap((unit, id) => (kind(unit)
      ? [{ id, x: x.of(unit) ?? NaN, y: y.of(unit) ?? NaN,
        title: `${unit.name}\n${x.label} ${readable(x.of(unit))}\n${y.label} ${readable(y.of(unit))}` }] : []));
    const predicted = units.flatMap((unit, id) => {
      const [a, b] = [x, y].map((axis) => axis.predicted(unit) ?? { mean: axis.of(unit), total: 0 });
      const some = unit.front && (x.predicted(unit) || y.predicted(unit));
      return some ? [{ id, x: a.mean, y: b.mean, dx: 2 * a.total, dy: 2 * b.total, title: unit.name }] : [];
    });
    const of = (kind) => points((unit) => unit.kind === kind);
    this.chart.set({
      label: `${y.label} over ${x.label} of all units`,
      x: { label: x.label }, y: { label: y.label }, picked: this.picked,
      series: [
        { name: "start, best", look: "start", shape: "diamond", size: 4, points: of("start") },
        { name: "other designs", look: "other", shape: "circle", size: 3, points: points((u) => u.kind === "design" && !u.front) },
        { name: "front, predicted ± 2 total", look: "predicted", shape: "circle", size: 3.5, points: predicted },
        { name: "rivals", look: "rival", shape: "triangle", size: 5, points: of("rival") },
        { name: "front, finite elements", look: "front", shape: "square", size: 4, points: points((u) => u.front) },
      ],
    });
  }
}

function roundLook(round) {
  const last = report.rounds.length ? report.rounds.at(-1).round : 1;
  return round === last ? "late" : round === 1 ? "early" : "between";
}

function convergence(host, { name }) {
  let begin = 0;
  const series = report.convergence.map((of, n) => {
    const points = of[name].map((value, k) => ({ x: begin + k + 1, y: value ?? NaN }));
    begin += points.length;
    return { name: `round ${n + 1}`, look: roundLook(n + 1), line: true, points };
  });
  new Chart(host).set({
    label: `Best robust ${nameOf(name)} over the generations`,
    x: { label: "generation" }, y: { label: `best ${nameOf(name)}, robust` }, series,
  });
}

function parity(host, { name }, pick) {
  const rounds = [...new Set(units.map(({ round }) => round).filter(Boolean))].sort();
  const chart = new Chart(host, pick);
  chart.set({
    label: `Predicted over true ${nameOf(name)} of the designs`, diagonal: true,
    x: { label: `${nameOf(name)}, finite elements` }, y: { label: `${nameOf(name)}, predicted` },
    series: rounds.map((round) => ({
      name: `round ${round}`, look: `bars ${roundLook(round)}`, shape: "circle", size: 3.5,
      points: units.flatMap((unit, id) => (unit.round === round && unit.predicted[name]
        ? [{ id, x: unit.values[name] ?? NaN, y: unit.predicted[name].mean,
          dy: 2 * unit.predicted[name].total, title: `${unit.name}\nerror ${percent(errorOf(unit, name))}` }]
        : [])),
    })),
  });
  return chart;
}

function reliability(host, { name }) {
  const { levels, designs, validation } = report.reliability;
  const line = (text, look, shares) => ({
    name: text, look, line: true, points: (shares ?? []).map((y, n) => ({ x: levels[n], y })),
  });
  new Chart(host).set({
    label: `Share of true ${nameOf(name)} in intervals of each level`, diagonal: true,
    x: { label: "level of the interval", range: [0, 1] },
    y: { label: `share of true ${nameOf(name)} inside`, range: [0, 1] },
    series: [
      line("validation, as trained", "early", validation[name]?.trained),
      line("validation, recalibrated", "late", validation[name]?.recalibrated),
      line(`${designs.count} new designs`, "front", designs.shares[name]),
    ],
  });
}

function judgement(pick) {
  const goals = task.goals.filter(({ name }) => name !== "density");
  const charts = [];
  const card = (title, goal, draw) => {
    const host = element("div", { class: "chart" });
    byId("judgement").append(element("article", { class: "card" },
      element("h3", {}, `${title} of ${nameOf(goal.name)}`), host));
    const chart = draw(host, goal, pick);
    if (chart) charts.push(chart);
  };
  for (const goal of task.goals) card("Convergence", goal, convergence);
  for (const goal of goals) card("Parity", goal, parity);
  for (const goal of goals) card("Reliability", goal, reliability);
  return charts;
}

function roundsTable() {
  const names = Object.keys(report.rounds[0]?.errors ?? {});
  const head = ["round", "designs", "new", ...names.map((name) => `median error of ${nameOf(name)}`)];
  byId("rounds").append(
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...report.rounds.map((of) => element("tr", {},
      ...[of.round, of.designs, of.new].map((value) => element("td", {}, String(value))),
      ...names.map((name) => element("td", {}, percent(of.errors[name])))))),
  );
  const missing = [report.reliability.missing && `Reliability on validation units is missing: ${report.reliability.missing}`,
    report.missing_start].filter(Boolean);
  byId("missing").textContent = missing.join(" ");
}

function provenance() {
  const { commands, files, versions } = report.provenance;
  byId("commands").textContent = commands.join("\n");
  const rows = { ...files, ...versions };
  byId("versions").append(...Object.entries(rows).map(([name, text]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, text))));
  byId("all").onclick = () => download("designs.csv", new Blob([report.tables.design], { type: "text/csv" }));
}

function begin() {
  let stage = null;
  try {
    stage = new Stage(byId("stage"));
  } catch (error) {
    byId("stage").querySelector(".controls").remove();
    byId("stage").querySelector("canvas").replaceWith(element("p", { class: "problem" },
      `No view in 3-D: ${error.message}. Downloads and all else on the page work.`));
  }
  const details = new Details(byId("details"), report);
  const choose = (id) => {
    const unit = units[id];
    const octant = new Octant(unit.octant, unit.edge);
    stage?.show(octant);
    byId("chosen").textContent = unit.name;
    byId("corner").hidden = !octant.opensFromTheMiddle;
    details.show(unit);
    [front, gallery, ...others].forEach((part) => part.choose(id));
  };
  headline();
  keyFigures();
  notices();
  const front = new Front(choose);
  const gallery = new Gallery(byId("units"), units, task.goals, choose);
  const others = judgement(choose);
  roundsTable();
  provenance();
  choose(0);
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  byId("theme").onclick = () => {
    dark = !dark;
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    stage?.change(() => stage.paint());
  };
  if (stage) requestIdleCallback(() => gallery.drawPictures(stage.viewer.colours));
}

begin();
