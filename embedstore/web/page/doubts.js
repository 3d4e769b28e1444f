/** Rows whose given value is likely wrong, by models that were trained on the other rows. */

import { api } from "./api.js";
import { percent } from "./charts.js";
import { button, byId, counted, fill, make } from "./dom.js";
import { Task } from "./task.js";

const LONGEST = 400; // characters of a text that are shown

export class Doubts {
  /**
   * @param {State} state The state of the page.
   * @param {function(): {column: string, mapping: Mapping}} chosen The column, and the labels of its values.
   * @param {{read: function(number), label: function(number, string): Promise<string>}} work Reads or labels a row.
   */
  constructor(state, chosen, work) {
    Object.assign(this, { state, chosen, work, given: new Map() });
    this.task = new Task(byId("doubts-task"));
    byId("doubts-find").addEventListener("click", () => this.find());
    state.watch(["done"], () => this.drawDone());
    state.watch(["shaping", "labels"], () => this.drawDone());
    this.change();
  }

  /** Another column: its doubts are not known yet. */
  change() {
    this.task.leave();
    this.given.clear();
    this.lines = [];
    fill(byId("doubts"));
    byId("doubts-head").textContent = "";
    byId("doubts-find").disabled = !this.chosen().column;
  }

  leave() {
    this.task.leave();
  }

  async find() {
    const { column } = this.chosen();
    const found = await this.task.run("training models…", (signal) => api.doubts({ column }, signal));
    if (!found) return;
    this.state.change({ doubted: column });
    const { rows, doubtful, doubts } = found;
    const first = doubts.length < doubtful ? `; the first ${counted(doubts.length)} are listed` : "";
    byId("doubts-head").textContent = `${counted(doubtful)} of ${counted(rows)} rows have a doubtful value${first}.`;
    this.lines = doubts.map((doubt) => this.line(doubt));
    fill(byId("doubts"), ...this.lines.map(({ element }) => element));
    this.drawDone();
  }

  line(doubt) {
    const { given, suggested, confidence, text, row } = doubt;
    const choose = (value) => button("", () => this.answer(row, this.labelOf(value)));
    const accept = choose(suggested), keep = choose(given);
    const done = make("span", { class: "answer", role: "status" });
    const element = make("li", { data: { row } },
      make("p", {}, make("b", { dir: "auto" }, given), " → ", make("b", { dir: "auto" }, suggested),
        make("span", { class: "soft" }, ` given value ${percent(confidence, 0)} probable`)),
      make("p", { class: "text", dir: "auto" }, text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text),
      make("div", { class: "line" }, accept, keep, button("Read", () => this.work.read(row), { class: "quiet" }), done));
    return { doubt, element, accept, keep, done };
  }

  /** Return the label that a value stands for; "" if it stands for none of the labels. */
  labelOf(value) {
    const { labels } = this.state.values;
    const label = this.chosen().mapping.of(value);
    if (labels.includes(label)) return label;
    return labels.includes(value) ? value : "";
  }

  /** Answer a row with a label. */
  async answer(row, label) {
    const action = await this.work.label(row, label);
    if (action) this.given.set(row, { action, label });
    this.drawDone();
  }

  /** Show which rows were answered here; an answer that was taken back is none. */
  drawDone() {
    const { done, shaping, about } = this.state.values;
    const actions = new Set(done.map((one) => one.action));
    for (const { doubt, accept, keep, done: told } of this.lines) {
      const suggested = this.labelOf(doubt.suggested), given = this.labelOf(doubt.given);
      const said = this.given.get(doubt.row);
      const there = said && actions.has(said.action);
      accept.textContent = `Accept ${suggested}`;
      keep.textContent = `Keep ${given}`;
      for (const one of [accept, keep]) {
        one.hidden = !suggested || !given || about.read_only || shaping;
        one.disabled = Boolean(there);
      }
      told.textContent = there ? `✓ ${said.label}` : "";
    }
  }
}
