/** The search box with its three ways, and the chips of all that narrows the rows down. */

import { api } from "./api.js";
import { button, byId, counted, fill, make } from "./dom.js";
import { ANSWERED } from "./people.js";
import { titleOf, whereOf } from "./query.js";
import { ALL_ROWS, SHOWN_BY } from "./state.js";

const HINTS = {
  meaning: "a sentence: rows of similar meaning come first",
  words: "a part of the text, in upper or lower case",
  sql: "a condition on the columns: stars <= 2 AND product = 'kettle'",
};

export class Search {
  /** @param {State} state The state of the page. */
  constructor(state) {
    this.state = state;
    byId("search").addEventListener("submit", (event) => this.submit(event));
    byId("way").addEventListener("change", () => this.hint());
    state.watch([...SHOWN_BY, "total"], () => this.drawChips());
    this.hint();
  }

  hint() {
    byId("asked").placeholder = HINTS[byId("way").value];
    this.say("");
  }

  async submit(event) {
    event.preventDefault();
    const asked = byId("asked").value.trim();
    const way = byId("way").value;
    if (way === "sql") {
      if (!asked || !(await this.holds(asked))) return;
      this.state.change({ conditions: [...this.state.values.conditions, asked] });
    } else if (way === "words") this.state.find({ words: asked });
    else this.state.find({ meaning: asked, like: "", likeText: "" });
    byId("asked").value = "";
    this.say("");
  }

  /** Return whether the server understands a condition; say it if it does not. */
  async holds(condition) {
    const { values } = this.state;
    const query = { where: whereOf({ ...values, picks: {}, conditions: [condition] }) };
    try {
      await api.rows({ query, lens: values.lens, start: 0, count: 0 });
      return true;
    } catch (error) {
      this.say(error.message);
      return false;
    }
  }

  say(problem) {
    byId("search-problem").textContent = problem;
    byId("search-problem").hidden = !problem;
  }

  drawChips() {
    const chips = this.chips();
    const clear = chips.length > 1 && button("Clear all", () => this.clear(), { class: "quiet" });
    fill(byId("chips"), ...chips, clear);
    byId("filters").hidden = !chips.length;
    byId("bulk").disabled = !this.state.values.total;
    byId("bulk").textContent = `Label all ${counted(this.state.values.total ?? 0)} shown…`;
  }

  /** Return a chip for each thing that narrows the rows down or orders them. */
  chips() {
    const { find, picks, conditions, lasso, answered, changed } = this.state.values;
    const chips = [];
    if (changed) chips.push(chip("tags", "that change", () => this.state.change({ changed: null })));
    if (answered) chips.push(chip("answers", ANSWERED[answered.how], () => this.state.change({ answered: null })));
    if (find.meaning) chips.push(chip("meaning", find.meaning, () => this.state.find({ meaning: "" })));
    if (find.like) chips.push(chip("like", find.likeText || find.like, () => this.state.find({ like: "" })));
    if (find.words) chips.push(chip("words", find.words, () => this.state.find({ words: "" })));
    for (const [column, { bins }] of Object.entries(picks)) {
      const names = bins.map((bin) => bin.name || "(empty)").join(" or ");
      chips.push(chip(titleOf(column), names, () => this.drop(column)));
    }
    conditions.forEach((condition, place) => chips.push(chip("SQL", condition, () => this.dropCondition(place))));
    if (lasso.length) chips.push(chip("map", "inside the outline", () => this.state.change({ lasso: [] })));
    return chips;
  }

  drop(column) {
    const { [column]: _, ...picks } = this.state.values.picks;
    this.state.change({ picks });
  }

  dropCondition(place) {
    this.state.change({ conditions: this.state.values.conditions.filter((_, number) => number !== place) });
  }

  clear() {
    const { sort } = this.state.values.find;
    this.state.change({ ...ALL_ROWS, find: { ...ALL_ROWS.find, sort } });
  }
}

/** Make a chip that can be taken away. */
function chip(kind, text, remove) {
  const label = `remove ${kind}: ${text}`;
  return make("span", { class: "chip" }, make("span", { class: "kind" }, kind),
    make("span", { class: "what", title: text, dir: "auto" }, text),
    button("×", remove, { class: "quiet", title: label, aria: { label } }));
}
