/** The rows of the query: loaded in pages, as far as they are looked at. */

import { api } from "./api.js";
import { works } from "./notices.js";
import { viewOf } from "./query.js";

const PAGE = 100;
const MOST_PAGES = 60;

export class Rows {
  /**
   * @param {State} state The state of the page.
   * @param {function} onChange Called when rows have come, or when there are others.
   * @param {function} onError Called with what went wrong.
   */
  constructor(state, onChange, onError) {
    Object.assign(this, { state, onChange, onError });
    this.pages = new Map();
    this.waiting = new Map(); // the number of the last request for each page that has not come
    this.sent = 0;
    this.stop = new AbortController();
  }

  /** Return a row by its place in the list; undefined if it is not loaded. */
  at(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Return the place of a row in the list by its number, among those that are loaded; -1 if it is not. */
  placeOf(row) {
    for (const [page, rows] of this.pages) {
      const place = rows.findIndex((one) => one.row === row);
      if (place >= 0) return page * PAGE + place;
    }
    return -1;
  }

  /** Forget all rows and load the first ones: the query has changed. */
  reset() {
    this.stop.abort();
    this.stop = new AbortController();
    this.waiting.clear();
    this.pages.clear();
    return this.load(0);
  }

  /**
   * Load the pages in view once more; the old rows stay until the new ones come, the pages out of view go. Of a list
   * without rows the first page is loaded: there may be rows by now.
   */
  refresh(first, last) {
    const seen = this.pagesOf(first, Math.max(first, last));
    for (const page of this.pages.keys()) {
      if (!seen.includes(page)) this.pages.delete(page);
    }
    this.waiting.clear();
    return Promise.all(seen.map((page) => this.load(page)));
  }

  /** Load the rows from `first` to `last` that are not there. */
  need(first, last) {
    const missing = this.pagesOf(first, last).filter((page) => !this.pages.has(page) && !this.waiting.has(page));
    return Promise.all(missing.map((page) => this.load(page)));
  }

  /** Change a row that is loaded, by its number. */
  amend(row, change) {
    const place = this.placeOf(row);
    if (place < 0) return;
    const page = this.pages.get(Math.floor(place / PAGE));
    page[place % PAGE] = change(page[place % PAGE]);
    this.onChange();
  }

  pagesOf(first, last) {
    const pages = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) pages.push(page);
    return pages;
  }

  /** Load a page. An answer that comes after that to a later request for the page is of the past: it is dropped. */
  async load(page) {
    const { signal } = this.stop;
    const number = ++this.sent;
    const isLate = () => signal.aborted || !(number <= this.waiting.get(page));
    this.waiting.set(page, number);
    try {
      const body = { ...viewOf(this.state.values), start: page * PAGE, count: PAGE };
      const { total, rows } = await api.rows(body, signal);
      if (isLate()) return;
      this.pages.set(page, rows);
      this.forget(page);
      this.done(page, number);
      works("rows");
      this.state.change({ total });
      this.onChange();
    } catch (error) {
      if (isLate()) return;
      this.done(page, number);
      this.onError(error);
    }
  }

  /** A page is no longer waited for, unless it has been asked for again. */
  done(page, number) {
    if (this.waiting.get(page) === number) this.waiting.delete(page);
  }

  /** Forget the pages that are furthest away, so that memory stays small. */
  forget(near) {
    while (this.pages.size > MOST_PAGES) {
      const far = [...this.pages.keys()].reduce((a, b) => (Math.abs(b - near) > Math.abs(a - near) ? b : a));
      this.pages.delete(far);
    }
  }
}
