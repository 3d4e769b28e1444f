/** The dialog in which a person chooses labels: a shipped set, a set that was answered with, or own names. */

import { byId, fill, make } from "./dom.js";

export class LensDialog {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   */
  constructor(state, kept) {
    Object.assign(this, { state, kept });
    this.dialog = byId("lens-dialog");
    byId("choose-labels").addEventListener("click", () => this.open());
    byId("lens-form").addEventListener("submit", (event) => this.submit(event));
    byId("lens-cancel").addEventListener("click", () => this.dialog.close());
    for (const way of ["shipped", "answered", "typed"]) {
      byId(`lens-${way}`).addEventListener("input", () => (byId(`way-${way}`).checked = true));
    }
  }

  /** Fill the choices in and show the dialog. */
  open() {
    const { about } = this.state.values;
    fill(byId("lens-shipped"), ...Object.entries(about.shipped).map(([name, labels]) =>
      make("option", { value: name }, `${name}: ${labels.join(", ")}`)));
    fill(byId("lens-answered"), ...about.answered.map(({ labels }) =>
      make("option", { value: JSON.stringify(labels) }, labels.join(", "))));
    for (const id of ["way-answered", "lens-answered"]) byId(id).disabled = !about.answered.length;
    this.show(this.state.values.lens);
    byId("lens-problem").hidden = true;
    this.dialog.showModal();
  }

  /** Show labels as they are chosen now. */
  show(lens) {
    const labels = lens?.labels ?? null;
    const way = labels === null ? (lens ? "none" : "shipped") : typeof labels === "string" ? "shipped" : "typed";
    byId(`way-${way}`).checked = true;
    if (way === "shipped" && labels) byId("lens-shipped").value = labels;
    if (way === "typed") byId("lens-typed").value = writtenOut(labels);
    byId("lens-method").value = lens?.method ?? "cosine";
    byId("lens-examples").checked = lens?.examples ?? false;
  }

  submit(event) {
    event.preventDefault();
    try {
      this.take(this.chosen());
      this.dialog.close();
    } catch (error) {
      byId("lens-problem").textContent = error.message;
      byId("lens-problem").hidden = false;
    }
  }

  /** Return the labels that are chosen in the dialog; null for none. */
  chosen() {
    const way = this.dialog.querySelector("input[name=way]:checked").value;
    if (way === "none") return null;
    const labels = {
      shipped: () => byId("lens-shipped").value,
      answered: () => JSON.parse(byId("lens-answered").value),
      typed: () => typedLabels(byId("lens-typed").value),
    }[way]();
    return { labels, method: byId("lens-method").value, examples: byId("lens-examples").checked };
  }

  /** Look through labels from now on; null for none. Everything that is shown is loaded. */
  take(lens) {
    const { about, find } = this.state.values;
    const names = lens ? namesOf(about, lens.labels) : [];
    const known = names.length ? lens : null;
    this.kept.put("lens", known);
    const sort = known ? find.sort : "rows";
    const by = known ? "Predicted_Labels" : "";
    this.state.change({ lens: known, labels: names, shares: {}, notes: [], by, find: { ...find, sort } });
  }
}

/** Return the names of labels in any form that the server takes. */
function namesOf(about, labels) {
  if (typeof labels === "string") return about.shipped[labels] ?? [];
  return Array.isArray(labels) ? labels : Object.keys(labels);
}

/** Return labels as they are typed: one a line. */
function writtenOut(labels) {
  if (Array.isArray(labels)) return labels.join("\n");
  return Object.entries(labels).map(([name, texts]) => `${name}: ${texts.join("; ")}`).join("\n");
}

/**
 * Read labels that were typed: one a line, with descriptions after a colon.
 * @returns {string[]|Object} Names; with descriptions, an object of them by name.
 */
export function typedLabels(typed) {
  const lines = typed.split("\n").map((line) => line.trim()).filter(Boolean);
  const parts = lines.map((line) => /^([^:]+)(?::(.*))?$/.exec(line)?.slice(1) ?? [line]);
  const names = parts.map(([name]) => name.trim());
  if (names.length < 2) throw new Error("expected at least two labels, one a line");
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice) throw new Error(`expected each label once, found ${twice} twice`);
  const texts = parts.map(([, said]) => (said ?? "").split(";").map((text) => text.trim()).filter(Boolean));
  if (texts.every((one) => !one.length)) return names;
  return Object.fromEntries(names.map((name, place) => [name, texts[place].length ? texts[place] : [name]]));
}
