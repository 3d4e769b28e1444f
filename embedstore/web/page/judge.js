/** The panel that judges the labels: against a column, by the answers, and by what models doubt. */

import { api } from "./api.js";
import { Advice } from "./advice.js";
import { Doubts } from "./doubts.js";
import { byId, fill, later, make } from "./dom.js";
import { Duplicates } from "./duplicates.js";
import { Learning } from "./learning.js";
import { Mapping } from "./mapping.js";
import { Methods } from "./methods.js";
import { isSaid, saidColumns, textColumns, titleOf } from "./query.js";
import { Report } from "./report.js";
import { Task } from "./task.js";

const PAUSE = 200; // milliseconds after the last change, after which tags are judged anew

export class Judge {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   * @param {Panes} panes Opens and closes panels.
   * @param {{read: function(number), label: function(number, string)}} work Reads or labels a row by its number.
   */
  constructor(state, kept, panes, { read, label }) {
    Object.assign(this, { state, kept, panes, column: "" });
    this.task = new Task(byId("report-task"));
    this.mapping = new Mapping(byId("mapping"), () => this.judgeSoon());
    this.report = new Report(state, byId("report"), panes);
    this.judgeSoon = later(() => this.judge(), PAUSE);
    const chosen = () => ({ column: this.column, mapping: this.mapping });
    this.parts = [
      new Advice(state, () => this.isOpen),
      new Doubts(state, chosen, { read, label }),
      new Learning(state, chosen),
      new Methods(state, chosen),
      new Duplicates({ read }),
    ];
    panes.onJudge = () => this.open();
    byId("judge-open").addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    byId("judge-close").addEventListener("click", () => this.close());
    byId("judge-column").addEventListener("change", (event) => this.choose(event.target.value));
    state.watch(["lens"], () => this.isOpen && this.relabel());
    state.watch(["answers"], () => this.isOpen && isSaid(this.column) && this.judgeSoon());
    state.watch(["about", "labels"], () => this.isOpen && this.drawColumns());
  }

  get isOpen() {
    return this.panes.isOpen("judge");
  }

  open() {
    if (this.isOpen) return this.panes.show("judge");
    this.panes.open("judge");
    byId("judge-open").setAttribute("aria-pressed", "true");
    for (const part of this.parts) part.open?.();
    this.drawColumns();
    return this.choose(this.kept.get("judged", ""));
  }

  close() {
    this.panes.close("judge");
    byId("judge-open").setAttribute("aria-pressed", "false");
    this.task.leave();
    for (const part of this.parts) part.leave?.();
    this.tell();
  }

  /** Return the columns that tags can be compared with. */
  get columns() {
    const { about } = this.state.values;
    const text = textColumns(about);
    const own = about.columns.map((one) => one.name).filter((name) => name !== about.id && !text.includes(name));
    return [...saidColumns(this.state.values).filter((name) => !own.includes(name)), ...own];
  }

  drawColumns() {
    const names = this.columns;
    fill(byId("judge-column"), make("option", { value: "" }, "choose a column"), ...names.map((name) => make("option", { value: name }, titleOf(name))));
    byId("judge-column").value = names.includes(this.column) ? this.column : "";
  }

  /** Compare with a column: load its values first. */
  async choose(column) {
    this.column = this.columns.includes(column) ? column : "";
    byId("judge-column").value = this.column;
    this.kept.put("judged", this.column);
    this.mapping.clear();
    this.report.clear();
    for (const part of this.parts) part.change?.();
    this.tell();
    if (!this.column) return this.task.clear();
    const body = { query: {}, lens: this.state.values.lens, columns: [this.column] };
    const counts = await this.task.run("counting values…", (signal) => api.counts(body, signal));
    if (!counts) return undefined;
    this.mapping.set(counts[this.column], this.state.values.labels);
    if (this.mapping.problem) return this.task.tell(this.mapping.problem);
    return this.judge();
  }

  /** Other labels: values keep theirs where they are still there. */
  relabel() {
    const { labels, renamed } = this.state.values;
    this.mapping.relabel(labels, renamed);
    this.judgeSoon();
  }

  /** Compare the tags with the column. */
  async judge() {
    const { lens } = this.state.values;
    this.tell();
    if (!this.isOpen || !this.column || this.mapping.problem) return;
    if (!lens) return this.stopAt("Choose labels first: their tags are compared with the column.");
    if (!this.mapping.some) return this.stopAt("Say above which label each value stands for.");
    const body = { lens, column: this.column, mapping: this.mapping.pairs };
    const found = await this.task.run("comparing…", (signal) => api.report(body, signal));
    if (found) this.report.draw(found, this.column, this.mapping);
  }

  /** Let the other parts know what the tags are compared with. */
  tell() {
    const known = this.isOpen && this.column && !this.mapping.problem && this.mapping.some;
    this.state.change({ judged: known ? { column: this.column, mapping: this.mapping.pairs } : null });
  }

  stopAt(text) {
    this.report.clear();
    this.task.leave();
    this.task.note(text);
  }
}
