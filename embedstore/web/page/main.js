/** Puts the page together. */

import { Answers } from "./answers.js";
import { api } from "./api.js";
import { Ask } from "./ask.js";
import { Panes } from "./beside.js";
import { Bulk } from "./bulk.js";
import { Carry } from "./carry.js";
import { byId } from "./dom.js";
import { followNews, tellAnswers } from "./events.js";
import { Facets } from "./facets.js";
import { listenToKeys } from "./keys.js";
import { LabelBar, whatWasDone } from "./labelbar.js";
import { Judge } from "./judge.js";
import { LayoutChoice } from "./layout.js";
import { takeLens } from "./lens.js";
import { List } from "./list.js";
import { MapPane } from "./mappane.js";
import { listenToMenus } from "./menus.js";
import { complain, forgive, hush, say } from "./notices.js";
import { People } from "./people.js";
import { Reader } from "./reader.js";
import { Search } from "./search.js";
import { keptLens, Shape } from "./shape.js";
import { Kept, SHOWN_BY, State } from "./state.js";
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
    if (!current) return this.state.values.asking ? undefined : this.list.read(0);
    if (!lens) return say("choose labels first: what would you answer with?");
    this.answers.give(current.row, label);
    return this.step(1);
  }

  /** Give a row that need not be in the list a label; return the name of the action. */
  async labelRow(number, label) {
    try {
      return this.answers.give(await this.rowOf(number), label);
    } catch (error) {
      complain(error);
      return "";
    }
  }

  /** Read a row by its number. */
  async read(number) {
    try {
      this.list.readRow(await this.rowOf(number));
    } catch (error) {
      complain(error);
    }
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

/** Let a person give their name, which their answers have; two people can use two tabs of a browser. */
function listenToName(state, kept) {
  const field = byId("who");
  byId("who-line").hidden = state.values.about.read_only;
  byId("read-only").hidden = !state.values.about.read_only;
  const take = (who) => {
    kept.putInTab("who", who);
    state.change({ who });
  };
  field.value = kept.ofTab("who", "");
  take(field.value);
  field.addEventListener("change", () => {
    kept.put("who", field.value.trim());
    take(field.value.trim());
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
  state.watch([...SHOWN_BY, "lens"], forgive);
  const list = new List(state, kept);
  const work = new Work(state, list);
  const map = new MapPane(state, kept, {
    read: (number) => work.read(number),
  });
  new LayoutChoice(state, kept);
  const panes = new Panes();
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
  work.ask = new Ask(state, panes);
  work.answers = new Answers(state, kept, {
    amend: (row, change) => work.amend(row, change),
    changed: () => tellAnswers(state),
  });
  const tellDone = (text) => say(text, { action: "Undo", press: does.undo });
  new Bulk(state, work.answers, (done) => tellDone(`Labelled: ${whatWasDone({ ...done, row: -1 })}.`));
  new People(state);
  const carry = new Carry(state, work.answers, (done) => tellDone(`Kept: ${whatWasDone(done)}.`));
  new Shape(state, kept, panes, carry);
  new Judge(state, kept, panes, {
    read: (number) => work.read(number).then(() => panes.showAlone("list")),
    label: (number, label) => work.labelRow(number, label),
  });
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
  listenToMenus();
  byId("help-open").addEventListener("click", does.help);
  byId("help-close").addEventListener("click", () => byId("help").close());
  const by = kept.get("by", null);
  const { lens, paint } = keptLens(state, kept);
  takeLens(state, lens, { paint });
  if (by !== null) state.change({ by });
  map.loadPoints();
}

start().catch(complain);
