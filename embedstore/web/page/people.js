/** What several people said of the same rows: where they disagree, and which rows were answered by whom. */

import { byId, make } from "./dom.js";

/** What the rows can be narrowed down to, as people read it. */
export const ANSWERED = {
  any: "answered",
  none: "unanswered",
  mine: "answered by me",
  disagreed: "people disagree",
};

/**
 * Return what the answers of people come to.
 * @param {Object} answers Label by person, "" for a skip.
 * @returns {{same: boolean, most: string}} Whether all labels are the same; the label that was given most often, "" if
 * there are several such labels, or none.
 */
export function verdict(answers = {}) {
  const counts = new Map();
  for (const label of Object.values(answers).filter(Boolean)) counts.set(label, (counts.get(label) ?? 0) + 1);
  const order = [...counts].sort((a, b) => b[1] - a[1]);
  const tie = order.length > 1 && order[0][1] === order[1][1];
  return { same: order.length < 2, most: order.length && !tie ? order[0][0] : "" };
}

/** Make the line that says that people disagree, or what most of them say; null where all say the same. */
export function disputeOf(row, { short = false } = {}) {
  const { same, most } = verdict(row.answers);
  if (same) return null;
  if (most) return make("span", { class: "who", title: "what was said most often counts" }, `most say ${most}`);
  return make("span", { class: "disputed", title: "press the key of a label: your answer settles it" },
    short ? "disagree" : "people disagree");
}

/** The choice of which rows are listed by their answers. */
export class People {
  /** @param {State} state The state of the page. */
  constructor(state) {
    this.state = state;
    byId("answered").addEventListener("change", (event) => this.choose(event.target.value));
    state.watch(["lens", "answered"], () => this.draw());
    state.watch(["who"], () => state.values.answered?.how === "mine" && this.choose("mine"));
    this.draw();
  }

  choose(how) {
    this.state.change({ answered: how ? { how, who: this.state.values.who } : null });
  }

  draw() {
    const { lens, answered } = this.state.values;
    if (!lens && answered) this.state.change({ answered: null });
    byId("answered-line").hidden = !lens;
    byId("answered").value = this.state.values.answered?.how ?? "";
  }
}
