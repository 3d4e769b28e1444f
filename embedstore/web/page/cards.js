/** The labels as a person shapes them: a card for each, with its name, its descriptions and what becomes of its share. */

import { colourAt } from "./colours.js";
import { percent } from "./charts.js";
import { button, dot, fill, make } from "./dom.js";

/**
 * A label that is shaped.
 * @typedef {{name: string, texts: string[], share: number|null, colour: number, was: string, applied: string}} Item
 * `share` is its known share of the rows, from 0 to 1, null if it is unknown; `colour` is the number of its colour, `was` its name when the shaping began ("" for a new one), `applied` its name
 * when the rows were last tagged.
 */

/**
 * Make items of labels; a label that was there before keeps its colour.
 * @param {[string, string[]][]} pairs Names and descriptions.
 * @param {Map<string, number>} colours The number of the colour of each label that was there before.
 * @param {Object} shares The known shares, by name.
 */
export function itemsOf(pairs, colours, shares = {}) {
  const taken = new Set(pairs.map(([name]) => colours.get(name)));
  return pairs.map(([name, texts]) => {
    const colour = colours.get(name) ?? free(taken);
    taken.add(colour);
    const share = Object.hasOwn(shares, name) ? shares[name] : null;
    return { name, texts: isBare(name, texts) ? [] : texts, share, colour, was: colours.has(name) ? name : "", applied: name };
  });
}

/** Return a new label without a name. */
export function newItem(items) {
  return { name: "", texts: [], share: null, colour: free(new Set(items.map((one) => one.colour))), was: "", applied: "" };
}

/** Return the least number that is not taken. */
function free(taken) {
  let number = 0;
  while (taken.has(number)) number += 1;
  return number;
}

function isBare(name, texts) {
  return texts.length === 1 && texts[0] === name;
}

/** The list of cards. */
export class Cards {
  /**
   * @param {HTMLElement} list Where they stand.
   * @param {{typed: function, pressed: function}} work Called after an edit with the keyboard, or with a button.
   */
  constructor(list, { typed, pressed }) {
    Object.assign(this, { list, typed, pressed, items: [], shares: new Map(), told: [] });
  }

  /** Show other items. */
  set(items) {
    this.items = items;
    this.draw();
  }

  draw() {
    this.shares.clear();
    fill(this.list, ...this.items.map((item, place) => this.card(item, place)));
    if (this.told.length) this.tellShares(...this.told);
  }

  card(item, place) {
    const which = item.name || "the new label";
    const name = make("input", { type: "text", class: "name", value: item.name, maxLength: 200, placeholder: "name",
      dir: "auto", aria: { label: `name of label ${place + 1}` } });
    name.addEventListener("input", () => this.edit(() => (item.name = name.value.trim())));
    const texts = make("textarea", { value: item.texts.join("\n"), rows: 2, spellcheck: false, dir: "auto",
      placeholder: "descriptions, one a line; without any, the name stands for itself",
      aria: { label: `descriptions of ${which}` } });
    texts.addEventListener("input", () => this.edit(() => (item.texts = linesOf(texts.value))));
    const share = make("span", { class: "share" });
    this.shares.set(item, share);
    return make("li", { class: "card" },
      make("div", { class: "line" }, dot(colourAt(item.colour)), name, share,
        this.tool("↑", `move ${which} up`, place > 0, () => this.move(place, -1)),
        this.tool("↓", `move ${which} down`, place < this.items.length - 1, () => this.move(place, 1)),
        this.tool("×", `remove ${which}`, true, () => this.remove(place))),
      texts, this.known(item, which));
  }

  /** Make the field for the known share of a label. */
  known(item, which) {
    const field = make("input", { type: "number", min: 0, max: 100, step: "any", placeholder: "unknown",
      value: item.share === null ? "" : String(rounded(100 * item.share)),
      aria: { label: `known share of ${which}, in percent` } });
    const take = () => (item.share = field.value === "" ? null : rounded(Number(field.value) / 100));
    field.addEventListener("input", () => this.edit(take));
    return make("div", { class: "known soft" }, make("span", {}, "known share"), field, make("span", {}, "%"));
  }

  tool(sign, label, can, press) {
    return button(sign, press, { class: "quiet", title: label, aria: { label }, disabled: !can });
  }

  edit(change) {
    change();
    this.typed();
  }

  move(place, by) {
    const items = [...this.items];
    [items[place], items[place + by]] = [items[place + by], items[place]];
    this.set(items);
    this.pressed();
  }

  remove(place) {
    this.set(this.items.filter((_, number) => number !== place));
    this.pressed();
  }

  /** Add a label, and let the person type its name. */
  add() {
    this.set([...this.items, newItem(this.items)]);
    this.list.lastElementChild.querySelector("input").focus();
  }

  /** Show other shares of now beside those of before. */
  tellNow(after) {
    this.tellShares(this.told[0] ?? new Map(), after);
  }

  /**
   * Show what becomes of the share of each label.
   * @param {Map<string, number>} before Shares by the name of before; empty if there were no labels.
   * @param {Map<string, number>} after Shares by present name.
   */
  tellShares(before, after) {
    this.told = [before, after];
    for (const [item, element] of this.shares) {
      const now = after.get(item.name);
      const was = item.was ? before.get(item.was) : before.size ? 0 : undefined;
      const moved = was !== undefined && now !== undefined && percent(was) !== percent(now);
      element.classList.toggle("moved", moved);
      element.textContent = now === undefined ? "" : moved ? `${percent(was)} → ${percent(now)}` : percent(now);
    }
  }
}

/** Return a number without what binary fractions add to it: 7 % is 0.07. */
function rounded(number) {
  return Number(number.toFixed(8));
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}
