/** The map: a canvas of points with zoom, pan, hover and outlines. It knows nothing of the rest of the page. */

import { Grid } from "./grid.js";
import { isShown, packed, paint, shownIn } from "./painter.js";

const NEAR = 14; // pixels
const NEAR_CENTRE = 120; // pixels, for the keys
const STEP = 3; // pixels between the corners of an outline
const ZOOM = 1.3; // for one key
const SMALLEST = 1; // radius of a point in pixels of the page
const LARGEST = 4.5;
const ROOM = 0.3; // radius of a point, as a part of the distance between points if they lay evenly

export class PointMap {
  /**
   * @param {HTMLCanvasElement} canvas Where the points are drawn.
   * @param {HTMLCanvasElement} over Above it, for rings and outlines; it takes the pointer and the keys.
   * @param {{hover: function, pick: function, outline: function}} tell Called with a row (-1 for none) and where it
   *   is; with a row that was clicked; with the corners of an outline.
   */
  constructor(canvas, over, tell) {
    Object.assign(this, { canvas, over, tell, points: new Float32Array(0), grid: null, near: -1, ring: -1 });
    this.look = { mask: null, codes: null, colours: [] };
    Object.assign(this.look, { ground: "#ffffff", out: "#dddddd", none: "#999999", ink: "#000000" });
    this.count = null; // points that are shown; null for all
    this.view = { x: 0, y: 0, scale: 1 }; // scale: pixels of the page for a unit
    this.drawing = false; // whether a drag draws an outline, without shift
    this.corners = []; // of the outline that is being drawn, or that is shown
    this.pointers = new Map();
    this.waiting = false;
    this.listen();
    new ResizeObserver(() => this.fit()).observe(over);
  }

  /**
   * Take the places of the points. An outline that is being drawn is left: it would hold other points.
   * @param {Float32Array} points x and y of each row in turn; NaN for a row without a place.
   * @param {{stay?: boolean}} more Whether to look at the same part of the map as before.
   */
  setPoints(points, { stay = false } = {}) {
    this.points = points;
    this.grid = new Grid(points);
    if (this.outlining) this.corners = [];
    this.outlining = false;
    this.pointers.clear();
    if (stay && !this.whole) this.draw();
    else this.reset();
  }

  /** Take other colours, or other rows that are shown. */
  setLook(look) {
    Object.assign(this.look, look);
    if ("mask" in look) this.count = look.mask ? shownIn(look.mask) : null;
    this.draw();
  }

  /** Take the row with a ring around it, and the outline. */
  setMarks({ ring = this.ring, corners = this.corners }) {
    Object.assign(this, { ring, corners });
    this.drawMarks();
  }

  fit() {
    const ratio = window.devicePixelRatio || 1;
    for (const one of [this.canvas, this.over]) {
      one.width = Math.max(1, Math.round(this.over.clientWidth * ratio));
      one.height = Math.max(1, Math.round(this.over.clientHeight * ratio));
    }
    if (this.whole) this.reset();
    else this.draw();
  }

  /** Show all points. */
  reset() {
    if (!this.grid) return;
    const { left, right, low, high } = this.grid.box;
    this.view = { x: (left + right) / 2, y: (low + high) / 2, scale: this.fitting };
    this.whole = true;
    this.draw();
  }

  /** The scale at which all points are in view. */
  get fitting() {
    if (!this.grid) return 1;
    const { left, right, low, high } = this.grid.box;
    const { clientWidth: width, clientHeight: height } = this.over;
    return 0.92 * Math.min(width / Math.max(right - left, 1e-9), height / Math.max(high - low, 1e-9)) || 1;
  }

  /** Draw with the next picture of the screen. */
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawPoints();
      this.drawMarks();
    });
  }

  drawPoints() {
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d", { alpha: false });
    if (this.image?.width !== width || this.image?.height !== height) this.image = pen.createImageData(width, height);
    const { mask, codes, colours, ground, out, none } = this.look;
    paint(this.image, this.points, { ...this.view, scale: this.view.scale * this.ratio }, {
      mask, codes, ground: packed(ground), out: packed(out), none: packed(none), radius: this.radius,
      outRadius: Math.min(this.radiusFor(this.points.length / 2), 0.8 * this.radius),
      colours: Uint32Array.from(colours, packed),
    });
    pen.putImageData(this.image, 0, 0);
  }

  get ratio() {
    return this.over.width / Math.max(1, this.over.clientWidth);
  }

  /** Radius in pixels of the screen for so many points: large where few are in view. */
  radiusFor(count) {
    const { clientWidth: width, clientHeight: height } = this.over;
    const zoomed = this.view.scale / this.fitting;
    const room = Math.sqrt((width * height * zoomed * zoomed) / Math.max(1, count));
    return this.ratio * Math.max(SMALLEST, Math.min(LARGEST, ROOM * room));
  }

  /** Radius of the points that are shown. */
  get radius() {
    return this.radiusFor(this.count ?? this.points.length / 2);
  }

  drawMarks() {
    const pen = this.over.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.over.clientWidth, this.over.clientHeight);
    pen.strokeStyle = this.look.ink;
    this.drawRing(pen, this.ring, 2.5);
    this.drawRing(pen, this.near, 1.5);
    if (this.corners.length < 2) return;
    pen.beginPath();
    for (const corner of this.corners) pen.lineTo(...this.toPage(...corner));
    pen.closePath();
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    pen.stroke();
    pen.setLineDash([]);
  }

  drawRing(pen, row, width) {
    if (row < 0 || Number.isNaN(this.points[2 * row])) return;
    pen.beginPath();
    pen.arc(...this.toPage(this.points[2 * row], this.points[2 * row + 1]), this.radius / this.ratio + 4, 0, 7);
    pen.lineWidth = width;
    pen.stroke();
  }

  /** Return where a place of the map is on the canvas. */
  toPage(x, y) {
    const { view, over } = this;
    return [over.clientWidth / 2 + (x - view.x) * view.scale, over.clientHeight / 2 - (y - view.y) * view.scale];
  }

  /** Return the place of the map under a pixel of the canvas. */
  toMap(left, top) {
    const { view, over } = this;
    return [view.x + (left - over.clientWidth / 2) / view.scale, view.y - (top - over.clientHeight / 2) / view.scale];
  }

  /** Zoom; the place under a pixel stays where it is. */
  zoom(by, left = this.over.clientWidth / 2, top = this.over.clientHeight / 2) {
    const [x, y] = this.toMap(left, top);
    this.view.scale *= by;
    const [newX, newY] = this.toMap(left, top);
    this.move(x - newX, y - newY);
  }

  move(x, y) {
    this.view = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.whole = false;
    this.draw();
  }

  /** Return the row near a pixel, of those that are shown if there is one; -1 if there is none. */
  rowAt(left, top, near = NEAR) {
    if (!this.grid) return -1;
    const reach = near / this.view.scale;
    const [x, y] = this.toMap(left, top);
    const shown = this.grid.nearest(x, y, reach, (row) => isShown(this.look.mask, row));
    return shown >= 0 ? shown : this.grid.nearest(x, y, reach, () => true);
  }

  listen() {
    const on = (event, work) => this.over.addEventListener(event, work);
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => (this.pointers.has(event.pointerId) ? this.drag(event) : this.point(event)));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", (event) => this.pointers.delete(event.pointerId));
    on("pointerleave", () => this.hover(-1));
    on("keydown", (event) => this.key(event));
    this.over.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  press(event) {
    this.over.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.moved = false;
    this.outlining = this.pointers.size === 1 && (event.shiftKey || this.drawing);
    if (this.outlining) this.corners = [this.toMap(event.offsetX, event.offsetY)];
  }

  drag(event) {
    const [left, top] = this.pointers.get(event.pointerId);
    const step = [event.offsetX - left, event.offsetY - top];
    if (Math.hypot(...step) < STEP) return;
    this.moved = true;
    if (this.outlining) {
      this.corners = [...this.corners, this.toMap(event.offsetX, event.offsetY)];
      this.drawMarks();
    } else if (this.pointers.size === 2) this.pinch(event);
    else this.move(-step[0] / this.view.scale, step[1] / this.view.scale);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  /** Zoom by two fingers: `event` is that of one, the other is still. */
  pinch(event) {
    const [, other] = [...this.pointers].find(([id]) => id !== event.pointerId);
    const [left, top] = this.pointers.get(event.pointerId);
    const before = Math.hypot(left - other[0], top - other[1]);
    const now = Math.hypot(event.offsetX - other[0], event.offsetY - other[1]);
    this.zoom(now / Math.max(1, before), ...other);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.outlining) {
      this.outlining = false;
      this.tell.outline(this.corners.length > 2 ? this.corners : []);
    } else if (!this.moved) {
      const row = this.rowAt(event.offsetX, event.offsetY);
      if (row >= 0) this.tell.pick(row);
    }
  }

  point(event) {
    this.hover(this.rowAt(event.offsetX, event.offsetY));
  }

  hover(row) {
    if (row === this.near) return;
    this.near = row;
    this.drawMarks();
    this.tell.hover(row, row < 0 ? [0, 0] : this.toPage(this.points[2 * row], this.points[2 * row + 1]));
  }

  key(event) {
    const far = 60 / this.view.scale;
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (moves[event.key]) this.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(ZOOM);
    else if (event.key === "-") this.zoom(1 / ZOOM);
    else if (event.key === "0") this.reset();
    else if (event.key === "Enter" && this.near >= 0) this.tell.pick(this.near);
    else return;
    if (event.key !== "Enter") this.hoverCentre();
    event.preventDefault();
    event.stopPropagation();
  }

  /** Show the row near the middle of the map, as if the pointer was there: what Enter reads. */
  hoverCentre() {
    this.near = -1;
    this.hover(this.rowAt(this.over.clientWidth / 2, this.over.clientHeight / 2, NEAR_CENTRE));
  }
}
