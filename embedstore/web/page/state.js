/** What the page shows: one object of values, and functions that are called when some of them change. */

/** The values at the start. Values are never changed in place: each change puts a new one. */
const EMPTY = {
  about: null, // what the server says of the store
  find: { meaning: "", words: "", like: "", likeText: "", least: null, sort: "rows" },
  picks: {}, // by column: {type, bins}, what was chosen in the counts
  conditions: [], // SQL that was typed
  answered: null, // {how, who}: rows by their answers
  changed: null, // {before, renamed}: rows whose tag is another than through the labels before
  lasso: [], // corners of an outline on the map
  method: "pca", // of the map
  layout: { methods: ["pca"], mark: "", running: false, placed: 0, problem: "" }, // what the server has of the map
  lens: null, // labels to look through, as the server takes them
  labels: [], // their names
  paint: new Map(), // the number of each label's colour, where it is not its place
  renamed: new Map(), // the present name of each label, by its name before the last edit
  shaping: false, // whether the labels are being shaped: nothing is answered with them then
  shares: {}, // by label
  judged: null, // {column, mapping}: what the tags are compared with, and the label of each value
  notes: [], // on the tags
  who: "",
  by: "", // column that colours the map
  doubted: "", // column whose doubts were asked for
  groups: [], // names of the groups of that column
  mask: null, // one bit a row: is it shown
  total: null, // rows that are shown
  current: null, // {row, index}: the row that is read; index is its place in the list, -1 if it is not there
  asking: false, // whether the rows come from "ask me"
  answers: 0, // goes up when answers have changed
  rows: 0, // goes up when rows have been added
  away: "", // why the server can't be reached; "" if it can
  encoding: false, // whether rows were added that have no vectors yet: until then the server refuses most views
  unsent: 0, // answers that the server does not have yet
  done: [], // actions that can be taken back, the last one at the end
};

/** The state of the page. */
export class State {
  constructor() {
    this.values = { ...EMPTY };
    this.watchers = [];
  }

  /** Call `work` now and then, after any of the named values has changed. */
  watch(names, work) {
    this.watchers.push({ names, work });
  }

  /** Put new values in, and call those who watch them. */
  change(values) {
    const changed = Object.keys(values).filter((name) => this.values[name] !== values[name]);
    Object.assign(this.values, values);
    for (const { names, work } of this.watchers) {
      if (names.some((name) => changed.includes(name))) work(this.values);
    }
  }

  /** Change how rows are searched for. */
  find(values) {
    this.change({ find: { ...this.values.find, ...values } });
  }
}

/** Names of the values that decide which rows are shown. */
export const SHOWN_BY = ["find", "picks", "conditions", "lasso", "answered", "changed"];

/** The values of a page that shows all rows in their order. */
export const ALL_ROWS = {
  find: { ...EMPTY.find }, picks: {}, conditions: [], lasso: [], answered: null, changed: null,
};

/** Values that are kept in the browser, for one store and corpus. */
export class Kept {
  constructor(about) {
    this.prefix = `embedstore:${about.store}:${about.corpus}:`;
  }

  /** Return a value; `otherwise` if there is none, or if the browser keeps nothing. */
  get(name, otherwise) {
    try {
      const text = localStorage.getItem(this.prefix + name);
      return text === null ? otherwise : JSON.parse(text);
    } catch {
      return otherwise;
    }
  }

  /** Keep a value; return whether the browser has kept it. */
  put(name, value) {
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  /** Return a value of this tab; a new tab begins with the one that was put last in any tab. */
  ofTab(name, otherwise) {
    try {
      const text = sessionStorage.getItem(this.prefix + name);
      return text === null ? this.get(name, otherwise) : JSON.parse(text);
    } catch {
      return otherwise;
    }
  }

  /** Keep a value for this tab, whatever other tabs put. */
  putInTab(name, value) {
    try {
      sessionStorage.setItem(this.prefix + name, JSON.stringify(value));
    } catch {
      // the tab has it as long as it is not loaded again
    }
  }

  /** Forget a value. */
  drop(name) {
    localStorage.removeItem(this.prefix + name);
  }

  /** Return the values whose names begin so, by name. */
  all(start) {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix + start));
    return names.map((name) => name.slice(this.prefix.length)).map((name) => [name, this.get(name, null)]);
  }
}
