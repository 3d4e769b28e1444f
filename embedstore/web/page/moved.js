/** What an edit of the labels does: how many rows have another tag, which ones, and from where to where they go. */

import { api } from "./api.js";
import { table } from "./charts.js";
import { byId, counted, fill } from "./dom.js";
import { Task } from "./task.js";

const NONE = "(no tag)";

export class Moved {
  /**
   * @param {State} state The state of the page.
   * @param {function(Map, Map)} tell Called with the shares of the labels, before and after.
   * @param {function(number)} tellAnswers Called with the number of texts whose answers can be taken over.
   */
  constructor(state, tell, tellAnswers) {
    Object.assign(this, { state, tell, tellAnswers, before: null, items: [], names: [] });
    this.task = new Task(byId("moved-task"));
    byId("moved-show").addEventListener("click", () => this.show());
    state.watch(["changed"], () => this.drawShow());
    state.watch(["shares"], ({ shaping }) => shaping && this.before === null && this.tellFirst());
  }

  /** Begin with the labels of now. */
  open(lens, items) {
    this.before = lens;
    this.names = items.map((item) => item.name);
    this.items = items;
    this.clear();
    this.tellFirst();
  }

  close() {
    this.task.leave();
    this.clear();
  }

  clear() {
    this.tellAnswers(0);
    byId("moved").hidden = true;
    fill(byId("moved-table"));
    byId("moved-flow").open = false;
  }

  /** Tell the shares as they are, without earlier ones beside them. */
  tellFirst() {
    this.tell(new Map(), new Map(Object.entries(this.state.values.shares)));
  }

  /** Return pairs of the name of each label before and its present name, "" for one that is gone. */
  renamed(items) {
    return this.names.map((name) => [name, items.find((item) => item.was === name)?.name ?? ""]);
  }

  /** Return the filter by changed tags for other names of the labels, if there is such a filter. */
  changed(items) {
    const { changed } = this.state.values;
    return changed ? { changed: { ...changed, renamed: this.renamed(items) } } : {};
  }

  /** Load what has changed since the panel was opened. */
  async load(items) {
    this.items = items;
    const { lens } = this.state.values;
    if (!this.before || !lens) return this.clear();
    const body = { before: this.before, lens, renamed: this.renamed(items) };
    const found = await this.task.run("comparing…", (signal) => api.changes(body, signal));
    if (found) this.draw(found);
  }

  draw({ before, after, counts, rows, moved, answers }) {
    this.tellAnswers(answers);
    const lines = counts.map(sum);
    const columns = [...after, ""].map((_, place) => sum(counts.map((line) => line[place])));
    this.tell(sharesOf(before, lines), sharesOf(after, columns));
    byId("moved").hidden = false;
    byId("moved-count").textContent = `${counted(moved)} of ${counted(rows)} rows change`;
    byId("moved-show").disabled = !moved && !this.state.values.changed;
    const wide = columns.at(-1) ? [...after, NONE] : after;
    const high = lines.at(-1) ? [...before, NONE] : before;
    fill(byId("moved-table"), table("rows by their tag before (lines) and now (columns)", ["", ...wide],
      high.map((name, line) => [name, ...wide.map((_, place) => counted(counts[line][place]))])));
  }

  /** List the rows whose tags change, or all rows again. */
  show() {
    const { changed } = this.state.values;
    this.state.change({ changed: changed ? null : { before: this.before, renamed: this.renamed(this.items) } });
  }

  drawShow() {
    byId("moved-show").setAttribute("aria-pressed", String(Boolean(this.state.values.changed)));
  }
}

function sum(numbers) {
  return numbers.reduce((all, one) => all + one, 0);
}

/** Return the share of each label among the rows with a tag; the last number is of those without. */
function sharesOf(names, numbers) {
  const tagged = Math.max(1, sum(numbers.slice(0, -1)));
  return new Map(names.map((name, place) => [name, numbers[place] / tagged]));
}
