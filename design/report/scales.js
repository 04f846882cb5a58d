// Axes: linear scales, the range of values, and round values on it.

// A function from a domain to pixels, with its inverse.
function scale([low, high], [start, end]) {
  const along = (value) => start + ((value - low) / (high - low)) * (end - start);
  along.domain = [low, high];
  along.back = (pixel) => low + ((pixel - start) / (end - start)) * (high - low);
  return along;
}

// Least and greatest value of some points with their bars, and a little more.
function extent(points, name, bar) {
  let low = Infinity,
    high = -Infinity;
  for (const point of points) {
    if (!Number.isFinite(point[name])) continue;
    low = Math.min(low, point[name] - (point[bar] ?? 0));
    high = Math.max(high, point[name] + (point[bar] ?? 0));
  }
  if (low > high) return [0, 1];
  const more = 0.06 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [low - more, high + more];
}

// Round values in a domain, about so many.
function ticks([low, high], count) {
  const rough = (high - low) / Math.max(count, 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    const value = Number((k * step).toFixed(digits));
    const text = value.toLocaleString("en-US", { minimumFractionDigits: digits });
    found.push({ value, text });
  }
  return found;
}
