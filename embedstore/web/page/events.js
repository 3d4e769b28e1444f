/** News of the server: the state of the map, answers that have changed, rows that were added. */

import { api } from "./api.js";
import { counted } from "./dom.js";
import { say } from "./notices.js";

const RETRY = 2000; // milliseconds

/**
 * Follow the news.
 * @param {State} state The state of the page.
 * @param {function(boolean)} there Called when the server is there, with whether it was away before.
 */
export function followNews(state, there) {
  let mark = null;
  const rows = new RowNews(state);
  let lost = false;
  const open = () => {
    const source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      state.change({ away: "" });
      there(lost);
      lost = false;
    });
    source.addEventListener("map", ({ data }) => state.change({ layout: JSON.parse(data) }));
    source.addEventListener("rows", ({ data }) => rows.take(data));
    source.addEventListener("answers", ({ data }) => {
      if (mark !== null && mark !== data) tellAnswers(state);
      mark = data;
    });
    source.addEventListener("error", () => {
      source.close();
      lost = true;
      state.change({ away: "it does not answer" });
      setTimeout(open, RETRY);
    });
    addEventListener("pagehide", () => source.close());
  };
  open();
}

/** Tell that answers have changed; first of all with which label sets people have answered by now. */
export async function tellAnswers(state) {
  if (state.values.encoding) return; // they are loaded with the rows that wait
  try {
    state.change({ about: await api.about(), answers: state.values.answers + 1 });
  } catch {
    // the server has gone away just now: when it is back, it tells the answers again
  }
}

/** What is told of rows: those that are added come as soon as all have vectors. */
class RowNews {
  constructor(state) {
    Object.assign(this, { state, mark: null, shown: state.values.about.rows });
  }

  /** Take what the server tells: the number of rows, and whether all have vectors. */
  take(mark) {
    const [count, covered] = JSON.parse(mark);
    const first = this.mark === null;
    if (mark === this.mark) return;
    this.mark = mark;
    if (!covered) this.wait(count);
    else if (!first) this.load();
  }

  /** Say once that rows have to wait. */
  wait(count) {
    if (this.state.values.encoding) return;
    this.state.change({ encoding: true });
    const added = count - this.shown;
    const what = added > 0 ? `${counted(added)} new ${added === 1 ? "row comes" : "rows come"}` : "New rows come";
    say(`${what} as soon as ${added === 1 ? "it is" : "they are"} encoded.`);
  }

  /** Load the rows, and the answers that came while rows waited. */
  async load() {
    const { rows, answers, encoding } = this.state.values;
    const said = encoding ? { encoding: false, answers: answers + 1 } : {};
    try {
      this.state.change({ about: await api.about(), rows: rows + 1, ...said });
    } catch {
      this.mark = ""; // as above
      return;
    }
    const { rows: now } = this.state.values.about;
    const added = now - this.shown;
    this.shown = now;
    if (added > 0) say(`${counted(added)} new ${added === 1 ? "row is" : "rows are"} here.`);
  }
}
