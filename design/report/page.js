// The page: what was asked and found, and one unit that is chosen everywhere at once.

function headline() {
  const named = (maximize) =>
    task.goals
      .filter((goal) => goal.maximize === maximize)
      .map(({ name }) => nameOf(name))
      .join(" and ");
  const goals = [
    named(true) && `Maximize ${named(true)}`,
    named(false) && `Minimize ${named(false)}`,
  ];
  const limits = [
    task.density === ":" ? null : `density ${task.density}`,
    ...task.bounds,
    task.min_feature > 1 ? `features from ${task.min_feature} voxels` : null,
    task.open_cell ? "void open to all faces" : null,
    task.samples ? `risk λ = ${given(task.risk)}` : "means alone, without risk",
  ];
  const { E, nu, scatter } = report.solid;
  byId("goals").textContent = goals.filter(Boolean).join(", ");
  byId("limits").textContent = limits.filter(Boolean).join(" · ");
  byId("solid").textContent =
    `Solid: E = ${given(E)}, ν = ${given(nu)}, ` +
    `scatter ${percent(scatter)}; moduli in the unit of that E`;
}

function keyFigures() {
  const designs = units.filter(({ kind }) => kind === "design");
  const front = designs.filter((unit) => unit.front);
  const figures = [
    [String(designs.length), "verified designs"],
    [String(front.length), "on the front"],
  ];
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
  byId("figures").replaceChildren(
    ...figures.map(([value, text]) =>
      element("li", {}, element("b", {}, value), element("span", {}, text)),
    ),
  );
}

function notices() {
  const list = byId("notices"),
    count = report.notices.length;
  list.hidden = !count;
  list.querySelector("summary").textContent =
    `${count} ${count === 1 ? "thing" : "things"} to note: what failed or is not verified`;
  list
    .querySelector("ul")
    .replaceChildren(...report.notices.map((text) => element("li", {}, text)));
  list.open = count < 3;
}

function roundsTable() {
  const names = Object.keys(report.rounds[0]?.errors ?? {});
  const head = [
    "round",
    "designs",
    "new",
    ...names.map((name) => `median error of ${nameOf(name)}`),
  ];
  byId("rounds").append(
    element(
      "thead",
      {},
      element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text))),
    ),
    element(
      "tbody",
      {},
      ...report.rounds.map((of) =>
        element(
          "tr",
          {},
          ...[of.round, of.designs, of.new].map((value) => element("td", {}, String(value))),
          ...names.map((name) => element("td", {}, percent(of.errors[name]))),
        ),
      ),
    ),
  );
  const missing = [
    report.reliability.missing &&
      `Reliability on validation units is missing: ${report.reliability.missing}`,
    report.missing_start,
  ].filter(Boolean);
  byId("missing").textContent = missing.join(" ");
}

function provenance() {
  const { commands, files, versions } = report.provenance;
  byId("commands").textContent = commands.join("\n");
  const rows = { ...files, ...versions };
  byId("versions").append(
    ...Object.entries(rows).map(([name, text]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, text)),
    ),
  );
  byId("all").onclick = () =>
    download("designs.csv", new Blob([report.tables.design], { type: "text/csv" }));
}

function begin() {
  let stage = null;
  try {
    stage = new Stage(byId("stage"));
  } catch (error) {
    byId("stage").querySelector(".controls").remove();
    byId("stage")
      .querySelector("canvas")
      .replaceWith(
        element(
          "p",
          { class: "problem" },
          `No view in 3-D: ${error.message}. Downloads and all else on the page work.`,
        ),
      );
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
  if (stage) whenIdle(() => gallery.drawPictures(stage.viewer.colours));
}

begin();
