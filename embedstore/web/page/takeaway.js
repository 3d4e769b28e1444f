/** Take away what is shown: as a file, or as the shell command that gives the same rows. */

import { api } from "./api.js";
import { byId, make } from "./dom.js";
import { complain, say, works } from "./notices.js";
import { isAnswered, viewOf } from "./query.js";
import { SHOWN_BY } from "./state.js";

const NO_COMMAND = "There is no command for this view: the shell has no outline, no order, no least similarity and no "
  + "filter by tags or answers, and it needs a search or labels.";

/** Give a file to the person. */
export function offerFile(file, name) {
  const address = URL.createObjectURL(file);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

export class TakeAway {
  /** @param {State} state The state of the page. */
  constructor(state) {
    Object.assign(this, { state, stop: null });
    for (const one of document.querySelectorAll("[data-format]")) {
      one.addEventListener("click", () => this.download(one.dataset.format));
    }
    byId("take-away").addEventListener("toggle", () => this.loadCommand());
    state.watch([...SHOWN_BY, "lens"], () => this.loadCommand());
    state.watch(["about", "labels"], () => this.offerAnswers());
    byId("with-answers").addEventListener("change", () => this.offerAnswers());
    byId("copy").addEventListener("click", () => this.copy());
    this.offerAnswers();
  }

  async download(format) {
    try {
      const file = await api.download({ ...viewOf(this.state.values), format, answers: this.withAnswers });
      offerFile(file, `${this.state.values.about.corpus}.${format}`);
      byId("take-away").open = false;
      works("file");
    } catch (error) {
      complain(error, "file");
    }
  }

  /** Whether the file has the answers. */
  get withAnswers() {
    return isAnswered(this.state.values) && byId("with-answers").checked;
  }

  /** Offer the answers if there are some, and say that the command leaves them out. */
  offerAnswers() {
    const { about } = this.state.values;
    byId("with-answers-line").hidden = !isAnswered(this.state.values);
    byId("without-answers").hidden = !this.withAnswers;
    byId("answers-command").textContent = `embedstore annotations ${about.in_shell}`;
  }

  /** Show the command of the view as it is now; none while the menu is closed. */
  async loadCommand() {
    this.stop?.abort();
    this.stop = new AbortController();
    byId("command").textContent = "…";
    byId("copy").hidden = true;
    byId("own-labels").hidden = true;
    if (!byId("take-away").open) return;
    try {
      const { command } = await api.command(viewOf(this.state.values), this.stop.signal);
      byId("command").textContent = command || NO_COMMAND;
      byId("copy").hidden = !command;
      byId("own-labels").hidden = !command.includes("--labels labels.yaml");
      works("command");
    } catch (error) {
      complain(error, "command");
    }
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(byId("command").textContent);
      say("The command is copied.");
    } catch {
      getSelection().selectAllChildren(byId("command"));
      say("The command is selected: copy it with Ctrl-C.");
    }
  }
}
