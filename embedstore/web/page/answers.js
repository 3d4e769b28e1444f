/**
 * The answers that a person gives. Each is kept in the browser until the server has it, so nothing is lost while the
 * server is away. Each has a random name: sent twice, it counts once.
 */

import { api, Away } from "./api.js";
import { complain, say } from "./notices.js";

const MOST_UNDO = 500;
const RETRY = 2000; // milliseconds

/** Return a random name for an action. `crypto.randomUUID` is not there on a page from another machine. */
export function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
}

export class Answers {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   * @param {{amend: function(number, function), changed: function}} work Changes a row that is shown; loads what hangs
   * on answers, after an action on many rows.
   */
  constructor(state, kept, { amend, changed }) {
    Object.assign(this, { state, kept, amend, changed, sending: false, timer: 0, rows: new Map() });
    this.unsent = kept.all("unsent:").map(([, one]) => one).filter(Boolean).sort((a, b) => a.at - b.at);
    this.done = kept.get("done", []);
    this.at = this.unsent.at(-1)?.at ?? 0;
    this.tellUnsent();
  }

  /** Give a row a label, "" for a skip; return the name of the action. */
  give(row, label) {
    const { lens, who } = this.state.values;
    const action = randomName();
    this.rows.set(action, row);
    this.show(row.row, who, label);
    this.remember({ action, label, row: row.row });
    this.add({ kind: "answer", body: { rows: [row.row], keys: [row.key], label, lens, who, action } });
    return action;
  }

  /** Give all rows of a query a label, at once; return the number of texts. The caller names the action. */
  async giveAll(query, label, action) {
    const { lens, who } = this.state.values;
    const { texts } = await api.answer({ query, label, lens, who, action });
    this.remember({ action, label, row: -1, texts });
    this.changed();
    return texts;
  }

  /** Take the last action back; return it, with its row as it was before if that is known; undefined for none. */
  undo() {
    const last = this.done.at(-1);
    if (!last) return undefined;
    const before = this.rows.get(last.action);
    this.rows.delete(last.action);
    this.remember(null);
    if (last.row >= 0) this.show(last.row, this.state.values.who, undefined);
    this.add({ kind: "undo", body: { action: last.action }, many: last.row < 0 });
    return { ...last, before };
  }

  /** Put an action on the pile of those that can be taken back; null takes the last one off. */
  remember(action) {
    this.done = action ? [...this.done, action].slice(-MOST_UNDO) : this.done.slice(0, -1);
    this.kept.put("done", this.done);
    this.state.change({ done: this.done });
  }

  /** Show an answer before the server has it; undefined takes it away. */
  show(row, who, label) {
    this.amend(row, (one) => {
      const { [who]: _, ...others } = one.answers ?? {};
      return { ...one, answers: label === undefined ? others : { ...others, [who]: label } };
    });
  }

  /** Keep something to send, and send it. */
  add(one) {
    this.at = Math.max(Date.now(), this.at + 1);
    const entry = { ...one, at: this.at };
    this.unsent.push(entry);
    if (!this.kept.put(nameOf(entry), entry)) {
      say("this browser keeps nothing: leave the page open until the answers are sent", { error: true });
    }
    this.tellUnsent();
    this.send();
  }

  /** Send what is kept, one after the other in the order in which it was given. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      while (this.unsent.length) {
        await this.deliver(this.unsent[0]);
        this.kept.drop(nameOf(this.unsent.shift()));
        this.state.change({ away: "" });
      }
    } catch (error) {
      this.timer = setTimeout(() => this.send(), RETRY);
      this.state.change({ away: error.message });
    } finally {
      this.sending = false;
      this.tellUnsent();
    }
  }

  /** Send one thing. What the server refuses for good is told; for all else it is tried again. */
  async deliver({ kind, body, many }) {
    try {
      await (kind === "undo" ? api.undo(body) : api.answer(body));
      if (many) this.changed();
    } catch (error) {
      if (error instanceof Away || error.status === 403 || error.status >= 500) throw error;
      complain(error);
      this.state.change({ answers: this.state.values.answers + 1 });
    }
  }

  tellUnsent() {
    this.state.change({ unsent: this.unsent.length, done: this.done });
  }
}

function nameOf(entry) {
  return `unsent:${entry.kind}:${entry.body.action}`;
}
