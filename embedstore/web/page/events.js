/** News of the server: maps that are ready, and answers that have changed. */

import { api } from "./api.js";

const RETRY = 2000; // milliseconds

/**
 * Follow the news.
 * @param {State} state The state of the page.
 * @param {function(boolean)} there Called when the server is there, with whether it was away before.
 */
export function followNews(state, there) {
  let mark = null;
  let lost = false;
  const open = () => {
    const source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      state.change({ away: "" });
      there(lost);
      lost = false;
    });
    source.addEventListener("map", ({ data }) => tellMaps(state, JSON.parse(data)));
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
async function tellAnswers(state) {
  try {
    state.change({ about: await api.about(), answers: state.values.answers + 1 });
  } catch {
    // the server has gone away just now: when it is back, it tells the answers again
  }
}

function tellMaps(state, { methods }) {
  if (methods.join() !== state.values.methods.join()) state.change({ methods });
}
