// The units over two of their properties.

class Front {
  constructor(pick) {
    this.chart = new Chart(byId("front"), pick);
    this.axes = ["across", "upwards"].map((id) => byId(id));
    this.axes.forEach((select, n) => {
      select.append(...axes.map(({ key, label }) => element("option", { value: key }, label)));
      select.value = firstAxes()[n];
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
    const points = (kind) =>
      units.flatMap((unit, id) =>
        kind(unit)
          ? [
              {
                id,
                x: x.of(unit) ?? NaN,
                y: y.of(unit) ?? NaN,
                title: `${unit.name}\n${x.label} ${readable(x.of(unit))}\n${y.label} ${readable(y.of(unit))}`,
              },
            ]
          : [],
      );
    const predicted = units.flatMap((unit, id) => {
      const [a, b] = [x, y].map(
        (axis) => axis.predicted(unit) ?? { mean: axis.of(unit), total: 0 },
      );
      const some = unit.front && (x.predicted(unit) || y.predicted(unit));
      return some
        ? [{ id, x: a.mean, y: b.mean, dx: 2 * a.total, dy: 2 * b.total, title: unit.name }]
        : [];
    });
    const of = (kind) => points((unit) => unit.kind === kind);
    this.chart.set({
      label: `${y.label} over ${x.label} of all units`,
      x: { label: x.label },
      y: { label: y.label },
      picked: this.picked,
      series: [
        { name: "start, best", look: "start", shape: "diamond", size: 4, points: of("start") },
        {
          name: "other designs",
          look: "other",
          shape: "circle",
          size: 3,
          points: points((u) => u.kind === "design" && !u.front),
        },
        {
          name: "front, predicted ± 2 total",
          look: "predicted",
          shape: "circle",
          size: 3.5,
          points: predicted,
        },
        { name: "rivals", look: "rival", shape: "triangle", size: 5, points: of("rival") },
        {
          name: "front, finite elements",
          look: "front",
          shape: "square",
          size: 4,
          points: points((u) => u.front),
        },
      ],
    });
  }
}

// Two goals over each other; one goal over its deviation, or where rivals have none over density.
function firstAxes() {
  const [first, second] = task.goals.map(({ name }) => name);
  if (second) return [first, second];
  if (first === "density") return ["K", first];
  return [units.some(({ kind }) => kind === "rival") ? "density" : `deviation of ${first}`, first];
}
