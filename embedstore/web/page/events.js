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
  let rows = null;
  let lost = false;
  const open = () => {
    const source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      state.change({ away: "" });
      there(lost);
      lost = false;
    });
    source.addEventListener("map", ({ data }) => state.change({ layout: JSON.parse(data) }));
    source.addEventListener("rows", ({ data }) => {
      if (rows !== null && rows !== data) tellRows(state);
      rows = data;
    });
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
  try {
    state.change({ about: await api.about(), answers: state.values.answers + 1 });
  } catch {
    // the server has gone away just now: when it is back, it tells the answers again
  }
}

/** Tell that rows have been added, or that they have their vectors by now. */
async function tellRows(state) {
  const before = state.values.about.rows;
  try {
    state.change({ about: await api.about(), rows: state.values.rows + 1 });
  } catch {
    return; // as above
  }
  const added = state.values.about.rows - before;
  if (added > 0) say(`${counted(added)} new ${added === 1 ? "row is" : "rows are"} here.`);
}
