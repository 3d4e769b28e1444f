/** Label all rows that are shown, after a look at some of them; one action, which undo takes back whole. */

import { api } from "./api.js";
import { randomName } from "./answers.js";
import { labelColour } from "./colours.js";
import { button, byId, counted, dot, fill, make } from "./dom.js";
import { viewOf } from "./query.js";

const LOOK_AT = 10;
const LONGEST = 300; // characters of a text that are shown

export class Bulk {
  /**
   * @param {State} state The state of the page.
   * @param {Answers} answers Sends them.
   * @param {function(Object)} done Called with the label and the number of texts.
   */
  constructor(state, answers, done) {
    Object.assign(this, { state, answers, done, action: "" });
    this.dialog = byId("bulk-dialog");
    byId("bulk").addEventListener("click", () => this.open());
    byId("bulk-cancel").addEventListener("click", () => this.dialog.close());
  }

  /** Show ten random rows, and the labels to choose from. */
  async open() {
    const { total, labels } = this.state.values;
    this.view = viewOf(this.state.values); // what is looked at is what is labelled
    this.action = randomName();
    byId("bulk-title").textContent = `Label all ${counted(total)} rows that are shown`;
    this.tell("");
    this.tellAnswered(null);
    fill(byId("bulk-rows"), make("li", { class: "soft" }, "…"));
    fill(byId("bulk-labels"), ...labels.map((label) => this.choice(label)));
    this.dialog.showModal();
    try {
      const { who } = this.state.values;
      const [rows, answered] = await Promise.all([this.sample(total), api.answered({ ...this.view, who })]);
      this.tellAnswered(answered);
      fill(byId("bulk-rows"), ...rows.map((row) => make("li", { dir: "auto" }, beginning(row.text))));
    } catch (error) {
      this.tell(error.message);
    }
  }

  /** Say how many texts have an answer already, before they get another. */
  tellAnswered(found) {
    byId("bulk-answered").hidden = !found?.anybody;
    if (!found?.anybody) return;
    const { anybody, mine } = found;
    byId("bulk-answered").textContent = `${counted(anybody)} of these texts ${anybody === 1 ? "has" : "have"} an answer `
      + `already (${counted(mine)} by you); it stays and counts again after undo.`;
  }

  choice(label) {
    const made = button("", () => this.give(label), { class: "label", data: { label } });
    return fill(made, dot(labelColour(this.state.values, label)), `All are ${label}`);
  }

  /** Return some random rows of those that are shown. */
  async sample(total) {
    const places = new Set();
    while (places.size < Math.min(LOOK_AT, total)) places.add(Math.floor(Math.random() * total));
    const one = async (start) => (await api.rows({ ...this.view, start, count: 1 })).rows[0];
    return (await Promise.all([...places].sort((a, b) => a - b).map(one))).filter(Boolean);
  }

  /** Label all. Pressed again after a failure it is the same action, so it counts once. */
  async give(label) {
    this.tell("");
    this.allow(false);
    try {
      const texts = await this.answers.giveAll(this.view.query, label, this.action);
      this.dialog.close();
      this.done({ label, texts });
    } catch (error) {
      this.tell(error.message);
    } finally {
      this.allow(true);
    }
  }

  allow(on) {
    for (const one of this.dialog.querySelectorAll("button")) one.disabled = !on;
  }

  tell(problem) {
    byId("bulk-problem").textContent = problem;
    byId("bulk-problem").hidden = !problem;
  }
}

/** Return the beginning of a text. */
function beginning(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
