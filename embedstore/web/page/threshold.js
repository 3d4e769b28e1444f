/**
 * The least confidence of a tag. What stays at each is counted once by the server, so that moving the handle shows it at
 * once; when it is let go, everything on the page has the tags that stay.
 */

import { api } from "./api.js";
import { histogram, percent } from "./charts.js";
import { labelColour } from "./colours.js";
import { byId, counted, dot, fill, make } from "./dom.js";
import { titleOf } from "./query.js";
import { Task } from "./task.js";

export class Threshold {
  /**
   * @param {State} state The state of the page.
   * @param {{typed: function, tell: function(Map)}} work Called when the handle is let go, and with the shares of the
   *   labels at the place of the handle.
   */
  constructor(state, { typed, tell }) {
    Object.assign(this, { state, tell, table: null, asked: "" });
    this.task = new Task(byId("least-task"));
    byId("least-confidence").addEventListener("input", () => this.move());
    byId("least-confidence").addEventListener("change", () => typed());
    byId("least-part").addEventListener("toggle", () => this.load());
    state.watch(["lens", "judged"], () => this.load());
    state.watch(["answers"], () => this.load(true));
  }

  /** Begin with the least confidence of the labels of now. */
  open(lens) {
    byId("least-confidence").value = lens?.min_confidence ?? 0;
    byId("least-part").open = this.least !== null;
    this.draw();
    this.load(true);
  }

  close() {
    this.task.leave();
    this.table = null;
    this.asked = "";
  }

  /** The least confidence; null if every row has a tag. */
  get least() {
    return Number(byId("least-confidence").value) || null;
  }

  /** Load what stays at each least confidence, unless only the least confidence is another one. */
  async load(anew = false) {
    const { lens, judged, shaping } = this.state.values;
    if (!shaping || !lens || !byId("least-part").open) return;
    const body = { lens: { ...lens, min_confidence: null }, ...judged };
    const asked = JSON.stringify(body);
    if (asked === this.asked && !anew) return;
    this.asked = asked;
    this.table = null;
    this.draw();
    const found = await this.task.run("looking at the confidence…", (signal) => api.thresholds(body, signal));
    if (found) this.table = { ...found, column: judged?.column ?? "" };
    this.draw();
  }

  /** Show what stays at the place of the handle. */
  move() {
    this.draw();
    if (!this.table) return;
    this.tell(this.shares);
  }

  /** The share of each label among the rows that keep a tag. */
  get shares() {
    const kept = this.table.kept[this.step];
    const all = Math.max(1, sum(kept));
    return new Map(this.table.labels.map((label, place) => [label, kept[place] / all]));
  }

  /** The number of the step at which the handle stands. */
  get step() {
    return Math.round((this.least ?? 0) * (this.table.steps.length - 1));
  }

  draw() {
    const { least, table } = this;
    byId("least-value").textContent = least === null ? "(none)" : least.toFixed(2);
    for (const id of ["least-kept", "least-right", "least-note"]) byId(id).textContent = "";
    for (const id of ["least-picture", "least-shares"]) fill(byId(id));
    if (!table) return;
    const stay = table.kept.map(sum);
    fill(byId("least-picture"), histogram(stay.map((count, step) => count - (stay[step + 1] ?? 0)), this.step));
    const kept = stay[this.step];
    byId("least-kept").textContent =
      `${counted(kept)} of ${counted(table.rows)} rows keep a tag (${percent(kept / Math.max(1, table.rows))})`;
    fill(byId("least-shares"), ...[...this.shares].map(([label, share]) => make("li", {},
      dot(labelColour(this.state.values, label)), make("span", { dir: "auto" }, label),
      make("span", { class: "share" }, percent(share)))));
    byId("least-right").textContent = this.rightness();
    byId("least-note").textContent = table.notes.filter((note) => note.startsWith("confidence is")).join(" · ");
  }

  /** Say how often the tags that stay are right, where that is known. */
  rightness() {
    const known = this.table.known[this.step], right = this.table.right[this.step];
    if (!this.table.known[0]) return "";
    const source = this.table.column ? `by ${titleOf(this.table.column)}` : "by the answers";
    if (!known) return `none of them is known ${source}`;
    return `${percent(right / known)} of the ${counted(known)} known ${source} are right`;
  }
}

function sum(numbers) {
  return numbers.reduce((all, one) => all + one, 0);
}
