/** The bar of labels: their keys, colours and shares, and what can be done with the row that is read. */

import { api } from "./api.js";
import { labelColour } from "./colours.js";
import { button, byId, counted, dot, fill, make } from "./dom.js";
import { hangsOnSaid } from "./lens.js";
import { complain, works } from "./notices.js";

/** The keys of the labels: digits, then the letters that mean nothing else. */
export const KEYS = [..."123456789abcdefghilmnopqrtvwxyz"];

export class LabelBar {
  /**
   * @param {State} state The state of the page.
   * @param {{label: function(string), skip: function, undo: function}} work What the buttons do.
   */
  constructor(state, work) {
    Object.assign(this, { state, work, stop: null });
    state.watch(["lens", "rows"], () => this.load());
    state.watch(["answers"], ({ lens }) => hangsOnSaid(lens) && this.load());
    state.watch(["labels", "paint", "shares", "notes", "shaping"], () => this.draw());
    state.watch(["done", "current", "lens"], () => this.enable());
    state.watch(["away", "unsent"], () => this.tellAway());
    byId("skip").addEventListener("click", work.skip);
    byId("undo").addEventListener("click", work.undo);
    byId("notes-more").addEventListener("click", () => this.fold(!byId("notes").classList.contains("folded")));
    new ResizeObserver(() => this.drawMore()).observe(byId("notes").firstElementChild);
    this.draw();
    this.enable();
    this.tellAway();
  }

  /** Load the share of each label. */
  async load() {
    const { lens } = this.state.values;
    this.stop?.abort();
    this.stop = new AbortController();
    try {
      this.state.change(lens ? await api.tags({ lens }, this.stop.signal) : { shares: {}, notes: [] });
      works("shares");
    } catch (error) {
      complain(error, "shares");
    }
  }

  draw() {
    const { labels, lens } = this.state.values;
    const notes = this.state.values.notes.filter((note) => lens?.min_confidence || !note.startsWith("confidence is"));
    fill(byId("labels"), ...labels.map((label, number) => this.label(label, number)));
    byId("no-labels").hidden = labels.length > 0;
    byId("notes").hidden = !notes.length;
    byId("notes").firstElementChild.textContent = notes.map(withoutOptions).join(" · ");
    this.fold(true);
    byId("undo").hidden = !this.canAnswer;
    for (const id of ["skip", "ask", "bulk"]) byId(id).hidden = !this.canAnswer || !labels.length;
  }

  /** Show two lines of the notes where there is little room, or all of them. */
  fold(on) {
    byId("notes").classList.toggle("folded", on);
    byId("notes-more").textContent = on ? "More" : "Less";
    byId("notes-more").setAttribute("aria-expanded", String(!on));
    this.drawMore();
  }

  /** There is more to see if something is cut off. */
  drawMore() {
    const text = byId("notes").firstElementChild;
    const folded = byId("notes").classList.contains("folded");
    byId("notes-more").hidden = folded && text.scrollHeight <= text.clientHeight;
  }

  /** Whether there can be answers: not while the labels are being shaped. */
  get canAnswer() {
    const { about, shaping } = this.state.values;
    return !about.read_only && !shaping;
  }

  label(label, number) {
    const { shares } = this.state.values;
    const share = shares[label];
    const key = KEYS[number] && this.canAnswer && make("kbd", {}, KEYS[number]);
    const given = { class: "label", data: { label }, disabled: !this.canAnswer };
    const part = share !== undefined && `${(100 * share).toFixed(0)} %`;
    return fill(
      button("", () => this.work.label(label), given),
      key,
      dot(labelColour(this.state.values, label)),
      make("span", {}, label),
      part && make("span", { class: "share", title: "share of the tags" }, part),
    );
  }

  /** Allow what can be done now. */
  enable() {
    const { done, current } = this.state.values;
    const last = done.at(-1);
    byId("undo").disabled = !last;
    byId("undo").title = last ? `take back: ${whatWasDone(last)}` : "nothing to take back";
    byId("skip").disabled = !current;
  }

  tellAway() {
    const { away, unsent } = this.state.values;
    byId("away").hidden = !away;
    const answers = unsent === 1 ? "1 answer is" : `${counted(unsent)} answers are`;
    const kept = unsent ? `; ${answers} kept in this browser` : "";
    byId("away").textContent = away && `The server is away (${away})${kept}. The page tries again by itself.`;
  }
}

/** Say what an action did. */
export function whatWasDone({ label, row, texts, carried }) {
  const what = row >= 0 ? "1 row" : texts === 1 ? "1 text" : `${counted(texts)} texts`;
  if (carried) return `answers of ${what} taken over`;
  return label ? `${what} labelled ${label}` : `${what} skipped`;
}

/** Return a note without what it says in parentheses of options of the shell. */
function withoutOptions(note) {
  return note.replace(/ \([^()]*--[^()]*\)/g, "");
}
