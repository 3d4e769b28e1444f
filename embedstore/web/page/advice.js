/** The line on what the answers are worth so far, made anew after every fifth answer. */

import { api } from "./api.js";
import { byId } from "./dom.js";
import { Task } from "./task.js";

const EVERY = 5; // answers

export class Advice {
  /**
   * @param {State} state The state of the page.
   * @param {function(): boolean} isOpen Whether it is seen.
   */
  constructor(state, isOpen) {
    Object.assign(this, { state, isOpen, given: 0, before: state.values.done });
    this.task = new Task(byId("advice-task"));
    state.watch(["done"], () => this.count());
    state.watch(["unsent"], () => this.ask());
    state.watch(["lens", "who", "shaping"], () => isOpen() && this.open());
  }

  /** Count the answers. */
  count() {
    const { done } = this.state.values;
    const last = done.at(-1);
    if (last && !this.before.some((one) => one.action === last.action)) this.given += 1;
    this.before = done;
  }

  /** Ask after every fifth answer, as soon as the server has all of them. */
  ask() {
    if (this.given >= EVERY && !this.state.values.unsent && this.isOpen()) this.open();
  }

  /** Load the advice. */
  async open() {
    const { lens, who, shaping } = this.state.values;
    if (!lens || shaping) {
      this.task.leave();
      byId("advice").textContent = "";
      return;
    }
    this.given %= EVERY;
    const found = await this.task.run("looking at the answers…", (signal) => api.advice({ lens, who }, signal));
    if (found) byId("advice").textContent = `Answers: ${found.text}`;
  }

  leave() {
    this.task.leave();
  }
}
