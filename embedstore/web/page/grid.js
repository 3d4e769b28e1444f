/** Find the nearest of many points: they are sorted into the cells of a grid once. */

export class Grid {
  /** @param {Float32Array} points x and y of each row in turn; NaN for a row without a place. */
  constructor(points) {
    this.points = points;
    this.box = bounds(points);
    const { left, right, low, high } = this.box;
    this.side = Math.max(1, Math.ceil(Math.sqrt(points.length / 8)));
    this.cell = Math.max(right - left, high - low, 1e-9) / this.side;
    this.sort();
  }

  /** Return the column or row of cells in which a coordinate lies. */
  at(value, start) {
    return Math.max(0, Math.min(this.side - 1, Math.floor((value - start) / this.cell)));
  }

  cellOf(row) {
    const { left, low } = this.box;
    return this.at(this.points[2 * row + 1], low) * this.side + this.at(this.points[2 * row], left);
  }

  /** Put the rows in the order of their cells. */
  sort() {
    const rows = [];
    for (let row = 0; row < this.points.length / 2; row++) {
      if (!Number.isNaN(this.points[2 * row])) rows.push(row);
    }
    this.starts = new Int32Array(this.side * this.side + 1);
    for (const row of rows) this.starts[this.cellOf(row) + 1] += 1;
    for (let cell = 0; cell < this.side * this.side; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.order = new Int32Array(rows.length);
    for (const row of rows) this.order[next[this.cellOf(row)]++] = row;
  }

  /**
   * Return the row that is nearest to a place, at most `reach` away; -1 if there is none.
   * @param {function(number): boolean} counts Which rows count.
   */
  nearest(x, y, reach, counts) {
    const { left, low } = this.box;
    let best = -1, least = reach * reach;
    for (let line = this.at(y - reach, low); line <= this.at(y + reach, low); line++) {
      const first = this.starts[line * this.side + this.at(x - reach, left)];
      const end = this.starts[line * this.side + this.at(x + reach, left) + 1];
      for (let place = first; place < end; place++) {
        const row = this.order[place];
        const distance = (this.points[2 * row] - x) ** 2 + (this.points[2 * row + 1] - y) ** 2;
        if (distance <= least && counts(row)) [best, least] = [row, distance];
      }
    }
    return best;
  }
}

/** Return the edges of all points. */
export function bounds(points) {
  const box = { left: Infinity, right: -Infinity, low: Infinity, high: -Infinity };
  for (let place = 0; place < points.length; place += 2) {
    if (Number.isNaN(points[place])) continue;
    box.left = Math.min(box.left, points[place]);
    box.right = Math.max(box.right, points[place]);
    box.low = Math.min(box.low, points[place + 1]);
    box.high = Math.max(box.high, points[place + 1]);
  }
  return Number.isFinite(box.left) ? box : { left: -1, right: 1, low: -1, high: 1 };
}
