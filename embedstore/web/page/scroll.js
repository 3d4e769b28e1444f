/**
 * A list of which only the rows in view exist.
 *
 * Browsers draw nothing below some 17 million pixels. So the height that is scrolled is capped. In a list that is
 * higher, a small move of the bar moves the rows as far, a large one goes to the same share of the list.
 */

const MOST_HEIGHT = 8_000_000;
const AROUND = 4; // rows that are drawn above and below the view

export class Scroll {
  /**
   * @param {HTMLElement} box The element that scrolls; it has one child, on which the rows lie.
   * @param {number} height Height of a row in pixels.
   * @param {function(number, number)} draw Called with the first and the last row that must be there.
   */
  constructor(box, height, draw) {
    Object.assign(this, { box, height, draw, total: 0, top: 0, seen: 0 });
    this.ground = box.firstElementChild;
    box.addEventListener("scroll", () => this.moved(), { passive: true });
    new ResizeObserver(() => this.redraw()).observe(box);
  }

  get capped() {
    return this.total * this.height > MOST_HEIGHT;
  }

  /** Height of the list, as it would be without the cap. */
  get whole() {
    return this.total * this.height;
  }

  /** Take the number of rows. */
  setTotal(total) {
    this.total = total;
    this.ground.style.height = `${Math.min(this.whole, MOST_HEIGHT)}px`;
    this.goTo(Math.min(this.top, this.lowest));
  }

  /** The furthest that the list can be scrolled. */
  get lowest() {
    return Math.max(0, this.whole - this.box.clientHeight);
  }

  /** The furthest that the bar can be moved. */
  get lowestBar() {
    return Math.max(0, Math.min(this.whole, MOST_HEIGHT) - this.box.clientHeight);
  }

  moved() {
    const bar = this.box.scrollTop;
    const step = bar - this.seen;
    const small = Math.abs(step) <= 2 * this.box.clientHeight;
    this.seen = bar;
    if (!this.capped) this.top = bar;
    else if (small) this.top = Math.max(0, Math.min(this.lowest, this.top + step));
    else this.top = this.lowest * (bar / this.lowestBar);
    if (this.capped && small && step !== 0) this.settle(bar);
    this.redraw();
  }

  /** Where small moves have brought the bar to an end but not the list, put the bar where it belongs. */
  settle(bar) {
    const atEnd = bar < 1 || bar > this.lowestBar - 1;
    const done = this.top < 1 || this.top > this.lowest - 1;
    if (atEnd !== done) this.setBar();
  }

  /** Put the bar where the list is. */
  setBar() {
    this.box.scrollTop = this.capped ? (this.lowestBar * this.top) / Math.max(1, this.lowest) : this.top;
    this.seen = this.box.scrollTop;
  }

  /** Scroll to a height of the list. */
  goTo(top) {
    this.top = Math.max(0, Math.min(top, this.lowest));
    this.setBar();
    this.redraw();
  }

  /** Scroll as little as needed to bring a row into view. */
  show(index) {
    const top = index * this.height;
    const view = this.box.clientHeight;
    if (top < this.top) this.goTo(top);
    else if (top + this.height > this.top + view) this.goTo(top + this.height - view);
  }

  /** Where a row lies on the ground, in pixels. */
  placeOf(index) {
    return this.seen + index * this.height - this.top;
  }

  /** The first and the last row in view. */
  get range() {
    const first = Math.max(0, Math.floor(this.top / this.height) - AROUND);
    const last = Math.ceil((this.top + this.box.clientHeight) / this.height) + AROUND;
    return [first, Math.min(this.total - 1, last)];
  }

  redraw() {
    this.draw(...this.range);
  }
}
