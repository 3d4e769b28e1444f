/** What each method is worth on a column; slow. */

import { api } from "./api.js";
import { interval, percent, scrolled, table } from "./charts.js";
import { byId, counted, fill, make } from "./dom.js";
import { Task } from "./task.js";

export class Methods {
  /**
   * @param {State} state The state of the page.
   * @param {function(): {column: string, mapping: Mapping}} chosen The column, and the labels of its values.
   */
  constructor(state, chosen) {
    Object.assign(this, { state, chosen });
    this.task = new Task(byId("methods-task"));
    byId("methods-find").addEventListener("click", () => this.find());
    this.change();
  }

  change() {
    this.task.leave();
    fill(byId("methods"));
    byId("methods-find").disabled = !this.chosen().column;
  }

  leave() {
    this.task.leave();
  }

  async find() {
    const { column, mapping } = this.chosen();
    const pairs = mapping.some ? mapping.pairs : {};
    const lens = mapping.some ? this.state.values.lens : null;
    const body = { lens, column, mapping: pairs };
    const found = await this.task.run("training and testing each method: this can take minutes…",
      (signal) => api.compare(body, signal));
    if (!found) return;
    const lines = found.methods.map((one) => [
      one.method, percent(one.accuracy),
      `${percent(one.accuracy_low)} – ${percent(one.accuracy_high)}`,
      interval(one.accuracy_low, one.accuracy, one.accuracy_high), percent(one.macro_f1), counted(one.rows)]);
    fill(byId("methods"),
      scrolled(
        table("on test rows that no method has learnt from", ["method", "accuracy", "95 % interval", "", "macro-F1", "rows"], lines)),
      ...found.notes.map((note) => make("p", { class: "soft notes" }, note)));
  }
}
