/** Which label each value of a column stands for; the rows of the others are left out. */

import { counted, fill, make } from "./dom.js";

const LONGEST = 199; // characters of a value that can be named: the server cuts longer ones

export class Mapping {
  /**
   * @param {HTMLElement} box Where it is shown.
   * @param {function} changed Called when the person changes it.
   */
  constructor(box, changed) {
    Object.assign(this, { box, changed });
    this.clear();
  }

  clear() {
    Object.assign(this, { bins: [], labels: [], label: new Map(), problem: "" });
    fill(this.box);
    this.box.hidden = true;
  }

  /** Take the values of a column, as the server counts them; values with the name of a label stand for it. */
  set({ kind, bins, others }, labels) {
    this.clear();
    if (kind === "numbers" || others.all) this.problem = "this column has more than 30 different values: choose another";
    else if (bins.some((bin) => bin.name.length > LONGEST)) this.problem = "this column has long values: choose another";
    else if (!bins.length) this.problem = "this column has no values yet";
    if (this.problem) return;
    this.bins = bins.filter((bin) => bin.name.trim() !== "");
    this.relabel(labels, new Map());
  }

  /** Take other labels: a value keeps its label, also one that has another name now. */
  relabel(labels, renamed) {
    this.labels = labels;
    const there = (label) => labels.includes(label);
    for (const { name } of this.bins) {
      const before = this.label.get(name) ?? "";
      const now = [renamed.get(before), before].find((label) => label && there(label));
      this.label.set(name, now ?? same(name, labels) ?? "");
    }
    this.draw();
  }

  /** Whether some value stands for a label. */
  get some() {
    return [...this.label.values()].some(Boolean);
  }

  /** The label of each value, "" for one that is left out, as the server takes it. */
  get pairs() {
    return Object.fromEntries(this.label);
  }

  /** Return the label that a value stands for; "" for none. */
  of(value) {
    return this.label.get(value) ?? "";
  }

  /** Return the values that stand for a label. */
  valuesOf(label) {
    return this.bins.filter((bin) => this.label.get(bin.name) === label);
  }

  draw() {
    this.box.hidden = !this.bins.length || !this.labels.length;
    const lines = this.bins.map((bin) => make("li", {}, this.line(bin)));
    fill(this.box, make("p", { class: "soft" }, "Each value, and the label that it stands for:"), make("ul", {}, ...lines));
  }

  line(bin) {
    const choice = make("select", { aria: { label: `label of ${bin.name}` } },
      make("option", { value: "" }, "left out"), ...this.labels.map((label) => make("option", { value: label }, label)));
    choice.value = this.of(bin.name);
    choice.addEventListener("change", () => {
      this.label.set(bin.name, choice.value);
      this.changed();
    });
    return make("label", {}, make("span", { class: "value", dir: "auto" }, bin.name),
      make("span", { class: "soft" }, counted(bin.all)), choice);
  }
}

/** Return the label of the same name, in upper or lower case; undefined if there is none. */
function same(value, labels) {
  return labels.find((label) => label === value) ?? labels.find((label) => label.toLowerCase() === value.toLowerCase());
}
