/** The counts of each column: how many rows have a value, shown of all. A press on a value filters by it. */

import { api } from "./api.js";
import { valueColour } from "./colours.js";
import { byId, counted, dot, fill, make } from "./dom.js";
import { hangsOnAnswers, isPlain, isSaid, saidColumns, textColumns, titleOf, typeOf, viewOf } from "./query.js";
import { SHOWN_BY } from "./state.js";

const OPEN = 5; // columns that are open at first
const LONGEST = 199; // characters of a value that a condition can name: the server cuts longer ones

export class Facets {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   */
  constructor(state, kept) {
    Object.assign(this, { state, kept, counts: {}, stop: null, stopSaid: null });
    this.open = new Set(kept.get("open", this.firstOpen()));
    state.watch([...SHOWN_BY, "lens"], () => this.load());
    state.watch(["answers"], (values) => (hangsOnAnswers(values) ? this.load() : this.loadSaid()));
    state.watch(["lens"], () => this.draw());
    state.watch(["about"], () => this.renew());
    state.watch(["rows"], () => this.load());
    state.watch(["groups", "picks"], () => this.drawAll());
    this.draw();
  }

  /** Return the columns that are open at first: neither the id nor the text. */
  firstOpen() {
    const { about } = this.state.values;
    const text = textColumns(about);
    const others = about.columns.map((one) => one.name).filter((name) => name !== about.id && !text.includes(name));
    return ["Predicted_Labels", "annotations", ...others.slice(0, OPEN)];
  }

  /** Return the columns that are counted, id and text last. */
  get columns() {
    const { about, lens } = this.state.values;
    const names = about.columns.map((one) => one.name);
    const sure = typeof lens?.min_confidence === "number" ? ["confidence"] : [];
    const tags = lens ? ["Predicted_Labels", "score", "margin", ...sure].filter((name) => !names.includes(name)) : [];
    const said = saidColumns(this.state.values).filter((name) => !names.includes(name));
    const first = [...tags.slice(0, 1), ...said, ...tags.slice(1)];
    const last = [about.id, ...textColumns(about)];
    return [...first, ...names.filter((name) => !last.includes(name)), ...names.filter((name) => last.includes(name))];
  }

  /** Make the frame anew if there are other columns. */
  renew() {
    const there = [...byId("facets").children].map((part) => part.dataset.column);
    if (there.join() === this.columns.join()) return;
    this.draw();
    this.load();
  }

  /** Make the frame: one part for each column, which opens. */
  draw() {
    fill(byId("facets"), ...this.columns.map((column) => this.part(column)));
    this.drawAll();
  }

  part(column) {
    const list = make("ul", { class: "bins" });
    const part = make("details", { data: { column } }, make("summary", {}, titleOf(column)), list);
    part.open = this.isOpen(column);
    part.addEventListener("toggle", () => this.toggle(column, part.open));
    return part;
  }

  /** Whether a column is open; all that people said opens and closes together. */
  isOpen(column) {
    return this.open.has(isSaid(column) ? "annotations" : column);
  }

  toggle(column, open) {
    if (open === this.isOpen(column)) return;
    this.open[open ? "add" : "delete"](isSaid(column) ? "annotations" : column);
    this.kept.put("open", [...this.open]);
    if (open) this.load();
  }

  /** Count the columns that are open. What people said is counted apart: other answers change it. */
  async load() {
    this.stop?.abort();
    this.stop = new AbortController();
    const open = this.columns.filter((name) => this.isOpen(name) && !isSaid(name));
    await Promise.all([open.length && this.count(open, this.stop.signal), this.loadSaid()]);
  }

  /** Count what people said; an older count that is on its way is of the past. */
  async loadSaid() {
    this.stopSaid?.abort();
    this.stopSaid = new AbortController();
    const said = this.columns.filter(isSaid);
    if (said.length && this.open.has("annotations")) await this.count(said, this.stopSaid.signal);
  }

  async count(columns, signal) {
    try {
      const counts = await api.counts({ ...viewOf(this.state.values), columns }, signal);
      if (signal.aborted) return;
      Object.assign(this.counts, counts);
      columns.forEach((column) => this.drawBins(column));
    } catch (error) {
      if (error.name !== "AbortError") columns.forEach((column) => this.drawProblem(column, error));
    }
  }

  drawAll() {
    Object.keys(this.counts).forEach((column) => this.drawBins(column));
  }

  listOf(column) {
    return [...byId("facets").children].find((part) => part.dataset.column === column)?.lastChild;
  }

  drawProblem(column, error) {
    const list = this.listOf(column);
    if (list) fill(list, make("li", { class: "soft" }, error.message));
  }

  drawBins(column) {
    const list = this.listOf(column);
    if (!list) return;
    const { bins, missing, others } = this.counts[column];
    const none = missing.all ? [{ name: "(none)", missing: true, ...missing }] : [];
    const all = [...bins, ...none];
    const most = Math.max(1, ...all.map((bin) => bin.all));
    const lines = all.map((bin) => make("li", {}, this.bin(column, bin, most)));
    const rest = others.all ? `${counted(others.shown)} / ${counted(others.all)} others` : "";
    const note = lines.length ? rest : "no values";
    fill(list, ...lines, note !== "" && make("li", { class: "soft" }, note));
  }

  /** Make the line of a value: its name, a bar, and how many rows have it, shown of all. */
  bin(column, bin, most) {
    const type = typeOf(this.state.values.about, column);
    const colour = bin.missing ? "" : valueColour(this.state.values, column, bin.name);
    const name = bin.name === "" ? "(empty)" : bin.name;
    const given = {
      type: "button", class: "bin", title: `${name}: ${counted(bin.shown)} shown of ${counted(bin.all)}`,
      aria: { pressed: this.isChosen(column, bin) }, disabled: !isPlain(type) || bin.name.length > LONGEST,
      on: { click: () => this.choose(column, type, bin) },
    };
    const count = make("span", { class: "count" }, make("b", {}, counted(bin.shown)), ` / ${counted(bin.all)}`);
    const value = make("span", { class: "value", dir: "auto" }, colour ? dot(colour) : null, make("span", {}, name));
    return make("button", given, value, count, bar(bin, most, colour));
  }

  isChosen(column, bin) {
    return Boolean(this.state.values.picks[column]?.bins.some((one) => same(one, bin)));
  }

  /** Add a value to the filter, or take it out again. */
  choose(column, type, bin) {
    const { picks } = this.state.values;
    const there = picks[column]?.bins ?? [];
    const bins = this.isChosen(column, bin) ? there.filter((one) => !same(one, bin)) : [...there, bin];
    const { [column]: _, ...rest } = picks;
    this.state.change({ picks: bins.length ? { ...picks, [column]: { type, bins } } : rest });
  }
}

/** Return whether two bins are of the same value. */
function same(one, other) {
  return one.name === other.name && Boolean(one.missing) === Boolean(other.missing);
}

/** Make a bar: as long as all rows of a value, and filled as far as they are shown. */
function bar(bin, most, colour) {
  const all = make("span", { class: "bar", aria: { hidden: true } }, make("span"));
  all.style.width = `${(100 * bin.all) / most}%`;
  all.firstChild.style.width = `${(100 * bin.shown) / Math.max(1, bin.all)}%`;
  if (colour) all.firstChild.style.backgroundColor = colour;
  return make("span", { class: "track" }, all);
}
