/** "Ask me": rows one after the other, in the order in which answers help most. */

import { api } from "./api.js";
import { byId, fill, make } from "./dom.js";
import { complain, say, works } from "./notices.js";

const AHEAD = 12; // rows that are asked for at once
const FEW = 5; // rows before the end, at which more are asked for

export class Ask {
  /**
   * @param {State} state The state of the page.
   * @param {Panes} panes Shows the list, where the question is.
   */
  constructor(state, panes) {
    Object.assign(this, { state, panes, queue: [], seen: new Set(), loading: null, number: 0, round: 0 });
    byId("ask").addEventListener("click", () => (state.values.asking ? this.end() : this.start()));
    for (const id of ["order", "about"]) {
      byId(id).addEventListener("change", (event) => {
        event.target.blur(); // keys are answers again
        this.start();
      });
    }
    state.watch(["labels"], () => this.drawLabels());
    state.watch(["asking"], () => this.draw());
    state.watch(["lens", "who"], () => state.values.asking && this.begin());
    this.drawLabels();
    this.draw();
  }

  draw() {
    const { asking } = this.state.values;
    byId("ask").setAttribute("aria-pressed", String(asking));
    byId("order-line").hidden = !asking;
    byId("about-line").hidden = !asking || byId("order").value !== "about";
    byId("question").hidden = !asking;
    byId("question").textContent = `Question ${this.number}`;
  }

  /** Let any of the labels be the one that is asked about. */
  drawLabels() {
    const { labels } = this.state.values;
    const before = byId("about").value;
    fill(byId("about"), ...labels.map((label) => make("option", { value: label }, label)));
    if (labels.includes(before)) byId("about").value = before;
  }

  /** What comes first: an order, or what is least sure of one label. */
  get order() {
    const order = byId("order").value;
    return order === "about" ? { about: byId("about").value } : { order };
  }

  /** Ask because the person wants to be asked: bring the question to the front. */
  start() {
    if (this.state.values.lens) this.panes.showAlone("list");
    return this.begin();
  }

  /** Begin anew with the labels, the person and the order of now. */
  begin() {
    Object.assign(this, { queue: [], seen: new Set(), loading: null, number: 0, round: this.round + 1 });
    if (!this.state.values.lens) {
      this.end();
      return say("choose labels first: what would you answer with?");
    }
    this.state.change({ current: null, asking: true }); // no key labels a row of the list meanwhile
    byId("question").textContent = "Looking for the first question…";
    return this.next();
  }

  end() {
    this.state.change({ asking: false });
  }

  /** Go to the next question; it is there already, unless they came faster than the server. */
  async next() {
    const { round } = this;
    if (!this.queue.length) await this.load();
    if (round !== this.round) return;
    const row = this.queue.shift();
    if (!row) {
      this.end();
      return this.failed ? undefined : say("There is nothing left to ask.");
    }
    this.number += 1;
    this.state.change({ current: { row, index: -1 }, asking: true });
    this.draw();
    if (this.queue.length < FEW) this.load();
  }

  /** Go back to a row whose answer was taken back; the present question comes after it. */
  back(row) {
    const { current } = this.state.values;
    if (current) this.queue.unshift(current.row);
    this.number = Math.max(1, this.number - 1);
    this.state.change({ current: { row, index: -1 }, asking: true });
    this.draw();
  }

  /** Ask the server for more rows. */
  load() {
    this.loading ??= this.fetch(this.round).finally(() => (this.loading = null));
    return this.loading;
  }

  async fetch(round) {
    const { lens, who } = this.state.values;
    this.failed = false;
    try {
      const count = AHEAD + this.queue.length;
      const { rows } = await api.ask({ lens, who, ...this.order, count });
      if (round !== this.round) return;
      const fresh = rows.filter((row) => !this.seen.has(row.row));
      for (const row of fresh) this.seen.add(row.row);
      this.queue.push(...fresh);
      works("questions");
    } catch (error) {
      if (round !== this.round) return;
      this.failed = true;
      complain(error, "questions");
    }
  }
}
