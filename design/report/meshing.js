// The closed surface of the voxels of a cell, as homog export writes it.

const STEPS = 1000; // per edge of a voxel

// Triangles as nine whole numbers each, in steps, counter-clockwise from outside. Where voxels
// touch along an edge only, the middle of that edge is drawn into each of them by a step, so that
// every edge has two faces.
function voxelSurface(cell, n) {
  const squares = squaresOf(cell, n),
    width = 2 * n + 1;
  const key = (a, b) => ((a[0] + b[0]) * width + a[1] + b[1]) * width + a[2] + b[2];
  const faces = new Uint8Array(width ** 3);
  for (const { loop } of squares) {
    for (let k = 0; k < 4; k++) faces[key(loop[k], loop[(k + 1) % 4])]++;
  }
  const triangles = [];
  for (const { voxel, loop } of squares) {
    const pinched = loop.map((corner, k) => faces[key(corner, loop[(k + 1) % 4])] > 2);
    const corners = loop.map((corner) => corner.map((x) => x * STEPS));
    if (pinched.includes(true)) {
      addFan(triangles, voxel, corners, pinched);
    } else {
      const [a, b, c, d] = corners;
      triangles.push(...a, ...b, ...c, ...a, ...c, ...d);
    }
  }
  return triangles;
}

// Squares between a solid voxel and void, or the outside: their voxel, and their corners in order.
function squaresOf(cell, n) {
  const squares = [];
  const solid = (p) => p.every((x) => x >= 0 && x < n) && cell[(p[0] * n + p[1]) * n + p[2]];
  for (let place = 0; place < cell.length; place++) {
    if (!cell[place]) continue;
    const voxel = [Math.floor(place / (n * n)), Math.floor(place / n) % n, place % n];
    for (let axis = 0; axis < 3; axis++) {
      for (const side of [0, 1]) {
        const beyond = voxel.slice();
        beyond[axis] += 2 * side - 1;
        if (solid(beyond)) continue;
        const loop = [
          [0, 0],
          [1, 0],
          [1, 1],
          [0, 1],
        ].map(([b, c]) => {
          const corner = voxel.slice();
          corner[axis] += side;
          corner[(axis + 1) % 3] += b;
          corner[(axis + 2) % 3] += c;
          return corner;
        });
        squares.push({ voxel, loop: side ? loop : loop.reverse() });
      }
    }
  }
  return squares;
}

// Triangles about the middle of a square that has pinched edges.
function addFan(triangles, voxel, corners, pinched) {
  const centre = [0, 1, 2].map((axis) => (corners[0][axis] + corners[2][axis]) / 2);
  corners.forEach((corner, k) => {
    const next = corners[(k + 1) % 4];
    if (!pinched[k]) {
      triangles.push(...centre, ...corner, ...next);
      return;
    }
    const middle = corner.map((x, axis) => {
      const halfway = (x + next[axis]) / 2;
      return halfway + Math.sign(voxel[axis] * STEPS + STEPS / 2 - halfway);
    });
    triangles.push(...centre, ...corner, ...middle, ...centre, ...middle, ...next);
  });
}
