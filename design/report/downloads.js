// Files of a unit, made in the page.

const SIZE = 10; // millimetres: edge of a cell in a mesh, as of homog export

// A boolean array of the whole cell, as numpy.load reads it.
function npyFile(octant) {
  const n = octant.edge;
  const about = `{'descr': '|b1', 'fortran_order': False, 'shape': (${n}, ${n}, ${n}), }`;
  const head = about.padEnd(64 * Math.ceil((about.length + 11) / 64) - 11) + "\n";
  const magic = [0x93, ...[..."NUMPY"].map((c) => c.charCodeAt(0)), 1, 0];
  const length = [head.length & 255, head.length >> 8];
  return new Blob([Uint8Array.from([...magic, ...length]), head, octant.cell()]);
}

// A binary STL of the surface of the voxels, in millimetres.
function stlFile(octant) {
  const corners = voxelSurface(octant.cell(), octant.edge);
  const scale = SIZE / octant.edge / STEPS,
    count = corners.length / 9;
  const view = new DataView(new ArrayBuffer(84 + 50 * count));
  view.setUint32(80, count, true);
  for (let n = 0; n < count; n++) {
    const of = corners.slice(9 * n, 9 * n + 9).map((x) => x * scale);
    [...normalOf(of), ...of].forEach((x, k) => view.setFloat32(84 + 50 * n + 4 * k, x, true));
  }
  return new Blob([view.buffer], { type: "model/stl" });
}

function normalOf([ax, ay, az, bx, by, bz, cx, cy, cz]) {
  const u = [bx - ax, by - ay, bz - az],
    v = [cx - ax, cy - ay, cz - az];
  const normal = [0, 1, 2].map((k) => {
    const [i, j] = [(k + 1) % 3, (k + 2) % 3];
    return u[i] * v[j] - u[j] * v[i];
  });
  const length = Math.hypot(...normal);
  return normal.map((x) => x / length);
}

// Head and row of a table in the text of a CSV file.
function csvFile(text, row) {
  const lines = text.split("\n");
  return new Blob([`${lines[0]}\n${lines[row + 1]}\n`], { type: "text/csv" });
}

function download(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}
