/** How good a classifier would be with some of the values of a column, or of the answers. */

import { api } from "./api.js";
import { learningCurve, percent } from "./charts.js";
import { byId, counted, fill, make } from "./dom.js";
import { isSaid } from "./query.js";
import { Task } from "./task.js";

export class Learning {
  /**
   * @param {State} state The state of the page.
   * @param {function(): {column: string, mapping: Mapping}} chosen The column, and the labels of its values.
   */
  constructor(state, chosen) {
    Object.assign(this, { state, chosen });
    this.task = new Task(byId("learning-task"));
    byId("learning-find").addEventListener("click", () => this.find());
    state.watch(["lens"], () => this.change());
    this.change();
  }

  /** The column that is learnt; without one, what people said. */
  get column() {
    return this.chosen().column || "annotations";
  }

  change() {
    this.task.leave();
    fill(byId("learning"));
    byId("learning-source").textContent = isSaid(this.column) ? "of the answers" : `values of ${this.column}`;
  }

  leave() {
    this.task.leave();
  }

  async find() {
    const { column, mapping } = this.chosen();
    const { lens } = this.state.values;
    const pairs = column && mapping.some ? mapping.pairs : {};
    const body = { lens: isSaid(this.column) ? lens : null, column: this.column, mapping: pairs };
    const found = await this.task.run("training on more and more texts…", (signal) => api.learningCurve(body, signal));
    if (found) this.draw(found);
  }

  draw({ points, majority, outlook, texts, notes }) {
    const last = points.at(-1);
    const advice = isSaid(this.column) ? byId("advice").textContent : "";
    fill(byId("learning"),
      make("figure", {}, learningCurve(points, majority),
        make("figcaption", { class: "soft" }, `With ${counted(last.texts)} labelled texts, ${percent(last.accuracy)} of the `
          + `others get the right label (${percent(last.low)} to ${percent(last.high)})${outlook ? `; ${outlook}` : ""}. `
          + `The band holds 95 % of such classifiers; the most frequent class alone is right in ${percent(majority)} `
          + `(dashed). ${counted(texts)} texts, five folds.`)),
      advice !== "" && make("p", {}, advice),
      ...notes.map((note) => make("p", { class: "soft notes" }, note)));
  }
}
