// How far to trust it: convergence of the search, parity and reliability of the predictions.

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
    x: { label: "generation" },
    y: { label: `best ${nameOf(name)}, robust` },
    series,
  });
}

function parity(host, { name }, pick) {
  const rounds = [...new Set(units.map(({ round }) => round).filter(Boolean))].sort(
    (a, b) => a - b,
  );
  const chart = new Chart(host, pick);
  chart.set({
    label: `Predicted over true ${nameOf(name)} of the designs`,
    diagonal: true,
    x: { label: `${nameOf(name)}, finite elements` },
    y: { label: `${nameOf(name)}, predicted` },
    series: rounds.map((round) => ({
      name: `round ${round}`,
      look: `bars ${roundLook(round)}`,
      shape: "circle",
      size: 3.5,
      points: units.flatMap((unit, id) =>
        unit.round === round && unit.predicted[name]
          ? [
              {
                id,
                x: unit.values[name] ?? NaN,
                y: unit.predicted[name].mean,
                dy: 2 * unit.predicted[name].total,
                title: `${unit.name}\nerror ${percent(errorOf(unit, name))}`,
              },
            ]
          : [],
      ),
    })),
  });
  return chart;
}

function reliability(host, { name }) {
  const { levels, designs, validation } = report.reliability;
  const line = (text, look, shares) => ({
    name: text,
    look,
    line: true,
    points: (shares ?? []).map((y, n) => ({ x: levels[n], y })),
  });
  new Chart(host).set({
    label: `Share of true ${nameOf(name)} in intervals of each level`,
    diagonal: true,
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
    byId("judgement").append(
      element(
        "article",
        { class: "card" },
        element("h3", {}, `${title} of ${nameOf(goal.name)}`),
        host,
      ),
    );
    const chart = draw(host, goal, pick);
    if (chart) charts.push(chart);
  };
  for (const goal of task.goals) card("Convergence", goal, convergence);
  for (const goal of goals) card("Parity", goal, parity);
  for (const goal of goals) card("Reliability", goal, reliability);
  return charts;
}
