/** The answers that were given with other labels: taken over when the labels that are shaped are used. */

import { api } from "./api.js";
import { randomName } from "./answers.js";
import { byId, counted } from "./dom.js";

export class Carry {
  /**
   * @param {State} state The state of the page.
   * @param {Answers} answers Remembers what can be taken back.
   * @param {function(Object)} done Called with the action when answers were taken over.
   */
  constructor(state, answers, done) {
    Object.assign(this, { state, answers, done, asked: "", action: "" });
  }

  /** Begin to shape labels: answers are taken over, until the person says otherwise. */
  open() {
    byId("carry").checked = true;
    this.tell(0);
  }

  /** Say for how many texts there are answers to take over. */
  tell(count) {
    const { about } = this.state.values;
    byId("carry-line").hidden = !count || about.read_only;
    byId("carry-text").textContent = `take the answers over (${count === 1 ? "1 text" : `${counted(count)} texts`})`;
  }

  /**
   * Take the answers over, if the person wants it. The number of texts need not be known by now. Pressed again after a
   * failure it is the same action, so it counts once.
   */
  async run(given) {
    const { about } = this.state.values;
    if (about.read_only || !byId("carry").checked || !given.before || !given.lens) return;
    const asked = JSON.stringify(given);
    if (asked !== this.asked) Object.assign(this, { asked, action: randomName() });
    const { action } = this;
    const { texts } = await api.carry({ ...given, action });
    this.asked = "";
    if (!texts) return;
    const one = { action, label: "", row: -1, texts, carried: true };
    this.answers.remember(one);
    this.done(one);
  }
}
