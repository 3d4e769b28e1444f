/** Puts the page together. */

import { Answers } from "./answers.js";
import { api } from "./api.js";
import { Ask } from "./ask.js";
import { Bulk } from "./bulk.js";
import { byId } from "./dom.js";
import { followNews } from "./events.js";
import { Facets } from "./facets.js";
import { listenToKeys } from "./keys.js";
import { LabelBar, whatWasDone } from "./labelbar.js";
import { LensDialog } from "./lens.js";
import { List } from "./list.js";
import { MapPane } from "./mappane.js";
import { complain, hush, say } from "./notices.js";
import { Reader } from "./reader.js";
import { Search } from "./search.js";
import { Kept, State } from "./state.js";
import { TakeAway } from "./takeaway.js";
import { followTheme } from "./theme.js";

/** What a person does with the row that is read, wherever it came from. */
class Work {
  constructor(state, list) {
    Object.assign(this, { state, list, ask: null, answers: null });
  }

  /** Change a row in the list and where it is read. */
  amend(row, change) {
    this.list.rows.amend(row, change);
    const { current } = this.state.values;
    if (current?.row.row === row) this.state.change({ current: { ...current, row: change(current.row) } });
  }

  /** Give the current row a label ("" skips it), and go to the next one at once. */
  label(label) {
    const { current, lens } = this.state.values;
    if (!current) return this.list.read(0);
    if (!lens) return say("choose labels first: what would you answer with?");
    this.answers.give(current.row, label);
    return this.step(1);
  }

  step(by) {
    if (!this.state.values.asking) return this.list.step(by);
    return by > 0 ? this.ask.next() : undefined;
  }

  /** Take the last action back, and go back to its row. */
  async undo() {
    const last = this.answers.undo();
    if (!last) return;
    if (last.row < 0) return say(`Taken back: ${whatWasDone(last)}.`);
    if (last.before) this.goTo(last.before);
    else this.goTo(await this.rowOf(last.row));
  }

  /** Read a row that is known: as a question if questions are asked. */
  goTo(row) {
    if (this.state.values.asking) this.ask.back(row);
    else this.list.readRow(row);
  }

  /** Return a row by its number: all rows without a condition are in this order. */
  async rowOf(number) {
    const { lens } = this.state.values;
    const { rows } = await api.rows({ query: {}, lens, start: number, count: 1 });
    return rows[0];
  }
}

/** Show one pane where there is no room for three. */
function listenToTabs() {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    tab.addEventListener("click", () => {
      document.body.dataset.pane = tab.dataset.tab;
      for (const one of document.querySelectorAll("[data-tab]")) one.setAttribute("aria-pressed", String(one === tab));
    });
  }
}

/** Let a person give their name, which their answers have. */
function listenToName(state, kept) {
  const field = byId("who");
  field.value = kept.get("who", "");
  state.change({ who: field.value });
  field.addEventListener("change", () => {
    kept.put("who", field.value.trim());
    state.change({ who: field.value.trim() });
  });
}

async function start() {
  const state = new State();
  state.change({ about: await api.about() });
  const { about } = state.values;
  const kept = new Kept(about);
  document.title = `${about.store}: ${about.corpus}`;
  byId("store").textContent = about.corpora.length > 1 ? `${about.store} / ${about.corpus}` : about.store;
  byId("store").title = `${about.rows} rows, vectors of ${about.model}`;
  listenToName(state, kept);
  build(state, kept);
  document.body.dataset.ready = "";
}

/** Make all parts, and load what they show. */
function build(state, kept) {
  const list = new List(state, kept);
  const work = new Work(state, list);
  const map = new MapPane(state, kept, {
    read: (number) => work.rowOf(number).then((row) => list.readRow(row), complain),
  });
  const facets = new Facets(state, kept);
  new Reader(state, { like: (row) => list.like(row) });
  new Search(state);
  new TakeAway(state);
  const does = {
    label: (label) => work.label(label),
    skip: () => state.values.lens && work.label(""),
    undo: () => work.undo().catch(complain),
    step: (by) => work.step(by),
    help: () => byId("help").showModal(),
  };
  new LabelBar(state, does);
  work.ask = new Ask(state);
  work.answers = new Answers(state, kept, { amend: (row, change) => work.amend(row, change) });
  new Bulk(state, work.answers, (done) =>
    say(`Labelled: ${whatWasDone({ ...done, row: -1 })}.`, { action: "Undo", press: does.undo }));
  const lens = new LensDialog(state, kept);
  followTheme(() => map.takeTheme());
  followNews(state, (lost) => {
    work.answers.send();
    if (!lost) return;
    hush();
    list.retry();
    facets.load();
    map.loadMask();
  });
  listenToKeys(state, does);
  listenToTabs();
  byId("help-open").addEventListener("click", does.help);
  byId("help-close").addEventListener("click", () => byId("help").close());
  const by = kept.get("by", null);
  lens.take(kept.get("lens", null));
  if (by !== null) state.change({ by });
  map.loadPoints();
}

start().catch(complain);
