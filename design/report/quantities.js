// What of a unit can stand on an axis or in a column.

const NAMES = {
  E: "E",
  nu: "ν",
  K: "K",
  G: "G",
  zener: "Zener ratio",
  density: "density",
  K_ratio: "K / K_HS",
};

function nameOf(name) {
  return NAMES[name] ?? name;
}

// Quantities by finite elements, and the total deviation of each goal that is predicted.
function quantities(goals) {
  const found = Object.keys(NAMES).map((name) => ({
    key: name,
    label: nameOf(name),
    of: (unit) => unit.values[name],
    predicted: (unit) => unit.predicted?.[name],
  }));
  for (const { name } of goals.filter((goal) => goal.name !== "density")) {
    found.push({
      key: `deviation of ${name}`,
      label: `total deviation of ${nameOf(name)}, predicted`,
      of: (unit) => unit.predicted?.[name]?.total,
      predicted: (unit) => unit.predicted?.[name] && { mean: unit.predicted[name].total, total: 0 },
    });
  }
  return found;
}

// Predicted over true value, less one.
function errorOf(unit, name) {
  const predicted = unit.predicted?.[name],
    true_ = unit.values[name];
  return predicted && true_ ? predicted.mean / true_ - 1 : null;
}
