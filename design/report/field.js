// A smooth field of an octant, whose level is the surface that a viewer shows.

const BLUR = 0.6; // voxels: walls of one voxel vanish with more
const REACH = 60; // samples: distances are counted up to here

// What a viewer follows rays through, at two samples a voxel along each axis.
class SmoothField {
  constructor(octant) {
    this.length = 2 * octant.length;
    this.values = blurred(doubled(octant), this.length, 2 * BLUR);
    const density = octant.solid.reduce((sum, solid) => sum + solid, 0) / octant.solid.length;
    this.level = levelOf(this.values, density);
    this.distances = distances(this.values, this.length, this.level);
  }

  // Values and distances in turn, as a texture of two channels takes them.
  texels() {
    const texels = new Float32Array(2 * this.values.length);
    for (let n = 0; n < this.values.length; n++) {
      texels[2 * n] = this.values[n];
      texels[2 * n + 1] = this.distances[n];
    }
    return texels;
  }
}

function doubled(octant) {
  const n = octant.length,
    m = 2 * n;
  const values = new Float32Array(m ** 3);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      const row = ((i >> 1) * n + (j >> 1)) * n;
      for (let k = 0; k < m; k++) values[(i * m + j) * m + k] = octant.solid[row + (k >> 1)];
    }
  }
  return values;
}

// Gaussian blur that sees the mirror images beyond the faces.
function blurred(values, n, deviation) {
  const radius = Math.ceil(3 * deviation);
  const weights = Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-0.5 * ((k - radius) / deviation) ** 2),
  );
  const sum = weights.reduce((a, b) => a + b);
  const mirrored = (k) => (k < 0 ? -1 - k : k >= n ? 2 * n - 1 - k : k);
  for (const stride of [1, n, n * n]) {
    const next = new Float32Array(values.length);
    for (let start = 0; start < values.length; start++) {
      if (Math.floor(start / stride) % n) continue;
      for (let k = 0; k < n; k++) {
        let value = 0;
        for (let r = -radius; r <= radius; r++) {
          value += weights[r + radius] * values[start + mirrored(k + r) * stride];
        }
        next[start + k * stride] = value / sum;
      }
    }
    values = next;
  }
  return values;
}

// The level above which a share of the samples lies: blur alone would change the density.
function levelOf(values, share) {
  const sorted = values.slice().sort();
  const place = Math.round((1 - share) * sorted.length);
  return sorted[Math.min(Math.max(place, 0), sorted.length - 1)];
}

// How far the nearest sample above a level is, along the axis where it is farthest (Chebyshev).
function distances(values, n, level) {
  const found = Float32Array.from(values, (value) => (value >= level ? 0 : REACH));
  const lower = [];
  for (let a = -1; a <= 1; a++) {
    for (let b = -1; b <= 1; b++) {
      for (let c = -1; c <= 1; c++) {
        if ((a * 3 + b) * 3 + c < 0) lower.push([a, b, c]);
      }
    }
  }
  for (const sign of [1, -1]) {
    for (let step = 0; step < found.length; step++) {
      const place = sign > 0 ? step : found.length - 1 - step;
      if (!found[place]) continue;
      const i = Math.floor(place / (n * n)),
        j = Math.floor(place / n) % n,
        k = place % n;
      for (const [a, b, c] of lower) {
        const x = i + sign * a,
          y = j + sign * b,
          z = k + sign * c;
        if (x < 0 || y < 0 || z < 0 || x >= n || y >= n || z >= n) continue;
        found[place] = Math.min(found[place], found[(x * n + y) * n + z] + 1);
      }
    }
  }
  return found;
}
