/** The report on tags against a column: figures, classes, a matrix whose cells list their rows, a curve. */

import { curve, percent, scrolled, table } from "./charts.js";
import { labelColour } from "./colours.js";
import { button, counted, dot, fill, make } from "./dom.js";
import { typeOf } from "./query.js";
import { ALL_ROWS } from "./state.js";

export class Report {
  /**
   * @param {State} state The state of the page.
   * @param {HTMLElement} box Where it is shown.
   * @param {Panes} panes Shows the list.
   */
  constructor(state, box, panes) {
    Object.assign(this, { state, box, panes });
  }

  clear() {
    fill(this.box);
  }

  /** Show a report on a column whose values stand for labels. */
  draw(found, column, mapping) {
    const { accuracy, macro_f1: macro, rows, left_out: out, notes } = found;
    fill(this.box,
      make("dl", { class: "figures" }, ...figure("accuracy", percent(accuracy)), ...figure("macro-F1", percent(macro)),
        ...figure("rows", counted(rows)), ...(out ? figure("left out", counted(out)) : [])),
      this.classes(found.table),
      this.matrix(found, column, mapping),
      found.reliability.length > 0 && this.reliability(found),
      ...notes.map((note) => make("p", { class: "soft notes" }, note)));
  }

  classes(lines) {
    const name = (label) => make("span", { class: "tag" }, dot(labelColour(this.state.values, label)), label);
    return scrolled(table("by class", ["", "precision", "recall", "F1", "rows"], lines.map((line) =>
      [name(line.class), percent(line.precision), percent(line.recall), percent(line.f1), counted(line.rows)])));
  }

  matrix({ classes, confusion }, column, mapping) {
    const rows = classes.map((given, line) => {
      const sum = confusion[line].reduce((all, one) => all + one, 0);
      return [given, ...classes.map((tagged, place) =>
        this.cell({ given, tagged, count: confusion[line][place], sum }, column, mapping))];
    });
    return scrolled(table("rows by what is given (lines) and by tag (columns); press one to list its rows",
      ["given", ...classes], rows));
  }

  /** Make a cell of the matrix. A corpus can have a column with the name of the tags: then no filter means the tags. */
  cell({ given, tagged, count, sum }, column, mapping) {
    const label = `${counted(count)} rows: given ${given}, tagged ${tagged}`;
    const own = this.state.values.about.columns.some((one) => one.name === "Predicted_Labels");
    const press = () => this.list(column, mapping.valuesOf(given), tagged);
    const made = button(counted(count), press, { class: "cell-button", title: label, aria: { label }, disabled: own || !count });
    const part = Math.round((100 * count) / Math.max(1, sum));
    made.style.background = given === tagged
      ? `color-mix(in srgb, var(--chosen) ${part}%, var(--ground))`
      : `color-mix(in srgb, var(--mistake) ${part}%, var(--ground))`;
    return made;
  }

  /** List the rows with some values of a column and a tag, and no others. */
  list(column, bins, tagged) {
    const { about, find } = this.state.values;
    const picks = {
      [column]: { type: typeOf(about, column), bins: bins.map(({ name }) => ({ name })) },
      Predicted_Labels: { type: "string", bins: [{ name: tagged }] },
    };
    this.state.change({ ...ALL_ROWS, find: { ...ALL_ROWS.find, sort: find.sort }, picks });
    this.panes.showAlone("list");
  }

  reliability({ reliability, calibration_error: error }) {
    return make("figure", {}, curve(reliability),
      make("figcaption", { class: "soft" }, "How often tags of a confidence are right; on the dashed line both are the "
        + `same. Mean difference: ${percent(error)}.`));
  }
}

function figure(name, value) {
  return [make("dt", {}, name), make("dd", {}, value)];
}
