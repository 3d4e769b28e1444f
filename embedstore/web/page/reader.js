/** The row that is read: its whole text, all its columns, what is known of it. */

import { api } from "./api.js";
import { button, byId, counted, fill, make } from "./dom.js";
import { complain, works } from "./notices.js";
import { answersOf, similarityOf, tagOf } from "./row.js";
import { textColumns } from "./query.js";

export class Reader {
  /**
   * @param {State} state The state of the page.
   * @param {{like: function(Object)}} work Shows the rows that are similar to a row.
   */
  constructor(state, { like }) {
    Object.assign(this, { state, like, whole: null });
    state.watch(["current"], () => this.change());
    state.watch(["lens", "groups"], () => this.draw());
  }

  /** Draw another row; the whole text at once if that was asked for. */
  change() {
    const { current } = this.state.values;
    if (this.whole?.row !== current?.row.row) this.whole = null;
    this.draw();
    byId("reader").scrollTop = 0;
    if (current?.all && this.isCut(current.row)) this.loadWhole(current.row.row);
  }

  isCut(row) {
    return row.length > row.text.length && this.whole?.row !== row.row;
  }

  async loadWhole(row) {
    try {
      this.whole = { row, text: await api.text(row) };
      this.draw();
      works("text");
    } catch (error) {
      complain(error, "text");
    }
  }

  draw() {
    const { values } = this.state;
    const row = values.current?.row;
    byId("reader").hidden = !row;
    if (!row) return;
    const text = this.whole?.row === row.row ? this.whole.text : row.text;
    fill(
      byId("reader"),
      make("div", { class: "head" }, make("span", { class: "id", title: `row ${row.row}` }, row.id),
        tagOf(values, row), similarityOf(row), answersOf(values, row)),
      make("p", { class: "text", dir: "auto" }, text),
      this.isCut(row) && button(`Show all ${counted(row.length)} characters`, () => this.loadWhole(row.row)),
      this.cells(row),
      row.id !== "" && button("More like this", () => this.like(row), { class: "quiet" }),
    );
  }

  /** Make a table of the columns that are not shown above. */
  cells(row) {
    const { about } = this.state.values;
    const shown = [about.id, ...textColumns(about)];
    const names = Object.keys(row.columns).filter((name) => !shown.includes(name) && row.columns[name] !== "");
    const lines = names.flatMap((name) => [make("dt", {}, name), make("dd", { dir: "auto" }, row.columns[name])]);
    return lines.length > 0 && make("dl", {}, ...lines);
  }
}
