// The octant of a cubic cell. Mirrored at its faces, over and over, it is the periodic cell.

class Octant {
  // bits: base64 of the voxels, the last axis fastest, the first bit the highest; edge: of the cell
  constructor(bits, edge) {
    this.edge = edge;
    this.length = edge / 2;
    const bytes = Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0));
    this.solid = new Uint8Array(this.length ** 3);
    for (let n = 0; n < this.solid.length; n++) {
      this.solid[n] = (bytes[n >> 3] >> (7 - (n & 7))) & 1;
    }
  }

  // Whether a cell whose corner is the middle of this one shows more of its inside: less solid
  // lies in its faces.
  get opensFromTheMiddle() {
    const layer = this.length ** 2,
      last = this.solid.length - layer;
    let outer = 0,
      inner = 0;
    for (let n = 0; n < layer; n++) {
      outer += this.solid[n];
      inner += this.solid[last + n];
    }
    return inner < outer;
  }

  // Voxels of the whole cell, the last axis fastest.
  cell() {
    const { edge, length, solid } = this;
    const mirrored = Array.from({ length: edge }, (_, n) => (n < length ? n : edge - 1 - n));
    const cell = new Uint8Array(edge ** 3);
    let place = 0;
    for (const i of mirrored) {
      for (const j of mirrored) {
        for (const k of mirrored) cell[place++] = solid[(i * length + j) * length + k];
      }
    }
    return cell;
  }
}
