/** The list of rows: only those in view exist. */

import { byId, counted, fill, make } from "./dom.js";
import { complain, say } from "./notices.js";
import { isShown } from "./painter.js";
import { isRanked, queryOf, textColumns } from "./query.js";
import { rowElement } from "./row.js";
import { Rows } from "./rows.js";
import { Scroll } from "./scroll.js";
import { SHOWN_BY } from "./state.js";

const HEIGHT = 116; // of a row, as in the style sheet

export class List {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   */
  constructor(state, kept) {
    Object.assign(this, { state, kept, drawn: new Map() });
    this.columns = kept.get("columns", defaultColumns(state.values.about));
    this.ground = byId("rows").firstElementChild;
    this.rows = new Rows(state, () => this.take(), (error) => this.fail(error));
    this.scroll = new Scroll(byId("rows"), HEIGHT, (first, last) => this.draw(first, last));
    state.watch([...SHOWN_BY, "lens"], () => this.restart());
    state.watch(["current", "groups"], () => this.renew());
    state.watch(["total"], () => this.count());
    state.watch(["answers", "rows"], () => this.rows.refresh(...this.scroll.range));
    state.watch(["about"], () => this.count());
    state.watch(["find", "lens"], () => this.drawOrder());
    this.listenToOrder();
    this.drawColumns();
  }

  /** Load the first rows of another query. */
  restart() {
    this.problem = "";
    byId("rows").setAttribute("aria-busy", "true");
    this.rows.reset();
    this.scroll.goTo(0);
  }

  /** Say what went wrong. If no row of the query has come, show none: those that are there are of another query. */
  fail(error) {
    complain(error, "rows");
    if (this.rows.pages.size) return;
    this.problem = error.message;
    this.state.change({ total: null });
    this.state.change({ total: 0 });
    this.renew();
  }

  /** Load what could not be loaded while the server was away. */
  retry() {
    if (this.problem) this.restart();
    else this.scroll.redraw();
  }

  /** Say how many rows there are. */
  count() {
    const { total, about } = this.state.values;
    if (total === null) return;
    byId("total").textContent = `${counted(total)} of ${counted(about.rows)} rows`;
    const blank = isRanked(this.state.values) ? about.blank : 0;
    byId("blank").hidden = !blank;
    byId("blank").textContent = blank === 1 ? "1 row has no text" : `${counted(blank)} rows have no text`;
    this.scroll.setTotal(total);
  }

  /** Show rows that have come. */
  take() {
    this.problem = "";
    this.renew();
  }

  /** Draw all rows in view anew. */
  renew() {
    byId("rows").setAttribute("aria-busy", "false");
    byId("empty").hidden = this.state.values.total !== 0;
    byId("empty").textContent = this.problem || "No row is like that. Take a filter away.";
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.scroll.redraw();
  }

  /** Draw the rows from `first` to `last` that are not there, and take away the others. */
  draw(first, last) {
    for (const [index, element] of this.drawn) {
      if (index < first || index > last) {
        element.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = first; index <= last; index++) this.place(index);
    if (last >= first) this.rows.need(first, last);
  }

  /** Put a row where it belongs. */
  place(index) {
    let element = this.drawn.get(index);
    if (!element) {
      element = rowElement(this.state.values, this.rows.at(index), index, this.work());
      this.drawn.set(index, element);
      this.ground.append(element);
    }
    element.style.transform = `translateY(${this.scroll.placeOf(index)}px)`;
  }

  work() {
    return { columns: this.columns, read: (index, all) => this.read(index, { all }), like: (row) => this.like(row) };
  }

  /** Make a row of the list the one that is read; wait for it if it is not loaded. */
  async read(index, { all = false } = {}) {
    const { total } = this.state.values;
    if (!total || index < 0 || index >= total) return;
    this.scroll.show(index);
    await this.rows.need(index, index);
    const row = this.rows.at(index);
    if (row) this.state.change({ current: { row, index, all }, asking: false });
  }

  /** Read the row that comes so many places after the current one. */
  step(by) {
    const { current } = this.state.values;
    if (!current) return this.read(0);
    const place = this.placeOf(current);
    const index = place < 0 ? Math.max(0, current.index) : place + by; // it has left the list: the next is in its place
    if (index >= this.state.values.total) return say("That was the last row.");
    return this.read(Math.max(0, index));
  }

  /** Read a row that need not be in the list. */
  readRow(row) {
    const index = this.placeOfRow(row.row);
    this.state.change({ current: { row, index }, asking: false });
    if (index >= 0) this.scroll.show(index);
  }

  /** Return the place of a row in the list by its number; -1 if it is not there, or is not known. */
  placeOfRow(row) {
    const { values } = this.state;
    const loaded = this.rows.placeOf(row);
    if (loaded >= 0 || isRanked(values) || queryOf(values).sort) return loaded;
    return values.mask === null ? row : placeIn(values.mask, row);
  }

  /** Return the place of the current row in the list. */
  placeOf(current) {
    return this.rows.at(current.index)?.row === current.row.row ? current.index : this.rows.placeOf(current.row.row);
  }

  /** Show the rows that are similar to a row. */
  like(row) {
    this.state.find({ like: row.id, likeText: row.text.slice(0, 80), meaning: "" });
  }

  /** Let the person choose the order, and the least similarity. */
  listenToOrder() {
    byId("sort").addEventListener("change", (event) => this.state.find({ sort: event.target.value }));
    byId("least").addEventListener("change", (event) => {
      const least = event.target.value === "" ? null : Number(event.target.value);
      this.state.find({ least: Number.isFinite(least) ? least : null });
    });
  }

  /** Show the choices of order that there are: by similarity there is only the least one to choose. */
  drawOrder() {
    const { values } = this.state;
    const ranked = isRanked(values);
    byId("least-line").hidden = !ranked;
    byId("sort-line").hidden = ranked || !values.lens;
    byId("least").value = values.find.least ?? "";
    byId("sort").value = values.find.sort;
  }

  /** Let the person choose the columns of the list. */
  drawColumns() {
    const boxes = this.state.values.about.columns.map(({ name }) => {
      const box = make("input", { type: "checkbox", checked: this.columns.includes(name) });
      box.addEventListener("change", () => this.choose(name, box.checked));
      return make("label", {}, box, ` ${name}`);
    });
    fill(byId("columns"), ...boxes);
  }

  choose(name, wanted) {
    this.columns = this.columns.filter((one) => one !== name);
    if (wanted) this.columns.push(name);
    this.kept.put("columns", this.columns);
    this.renew();
  }
}

/** Return the columns that are shown at first: the first three that are neither text nor id. */
function defaultColumns(about) {
  const others = about.columns.map((one) => one.name).filter((name) => name !== about.id);
  const text = textColumns(about);
  return others.filter((name) => !text.includes(name)).slice(0, 3);
}

/** Return how many rows with a set bit come before a row; -1 if its own is not set. */
function placeIn(mask, row) {
  if (!isShown(mask, row)) return -1;
  let place = 0;
  for (let one = 0; one < row; one++) place += isShown(mask, one) ? 1 : 0;
  return place;
}
