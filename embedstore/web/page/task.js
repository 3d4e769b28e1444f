/** Work that can take long: a line says that it runs and can stop it. An error is one line in the same place. */

import { button, fill, make } from "./dom.js";

export class Task {
  /** @param {HTMLElement} line Where it is said. */
  constructor(line) {
    Object.assign(this, { line, stop: null });
    line.classList.add("task");
    line.setAttribute("role", "status");
    this.clear();
  }

  /**
   * Do some work instead of what is being done.
   * @param {string} text What is being done, in a few words.
   * @param {function(AbortSignal): Promise} work What to do.
   * @returns {Promise} What it gives; undefined if it failed or was stopped.
   */
  async run(text, work) {
    this.leave();
    const stop = new AbortController();
    this.stop = stop;
    this.line.hidden = false;
    this.line.classList.remove("problem");
    fill(this.line, make("span", { class: "turning", aria: { hidden: true } }), `${text} `,
      button("Stop", () => this.leave(), { class: "quiet" }));
    try {
      const found = await work(stop.signal);
      if (stop.signal.aborted) return undefined;
      this.clear();
      return found;
    } catch (error) {
      if (!stop.signal.aborted) this.tell(error.message);
      return undefined;
    }
  }

  /** Stop what is being done. */
  leave() {
    this.stop?.abort();
    this.clear();
  }

  /** Say what went wrong. */
  tell(problem) {
    this.note(problem);
    this.line.classList.add("problem");
  }

  /** Say what is to do first. */
  note(text) {
    this.line.hidden = false;
    this.line.classList.remove("problem");
    fill(this.line, text);
  }

  clear() {
    this.line.hidden = true;
    fill(this.line);
  }
}
