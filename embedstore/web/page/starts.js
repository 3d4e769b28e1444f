/** What the shaping of labels can start from: a shipped set, answers, topics of the corpus, names that are typed. */

import { api } from "./api.js";
import { percent } from "./charts.js";
import { button, byId, fill, later, make } from "./dom.js";
import { typedLabels } from "./lens.js";
import { complain } from "./notices.js";
import { Task } from "./task.js";

const PAUSE = 500; // milliseconds without a key
const LONGEST = 300; // characters of a typical text that is shown

export class Starts {
  /**
   * @param {State} state The state of the page.
   * @param {{take: function, typed: function}} work Called with labels to start from, and with those that are typed.
   */
  constructor(state, { take, typed }) {
    Object.assign(this, { state, take, typed, waiting: false });
    this.task = new Task(byId("topics-task"));
    const soon = later(() => this.flush(), PAUSE);
    byId("lens-start").addEventListener("change", (event) => this.choose(event.target.value).catch(complain));
    byId("lens-typed").addEventListener("input", () => {
      this.waiting = true;
      soon();
    });
    byId("topics-find").addEventListener("click", () => this.findTopics());
  }

  /** Show the choices; without labels, names can be typed at once. */
  open(lens) {
    const { about } = this.state.values;
    const choice = (value, text) => make("option", { value: JSON.stringify(value) }, text);
    fill(byId("lens-start"),
      choice({ way: "" }, "these labels"),
      choice({ way: "typed" }, "names that I type"),
      choice({ way: "topics" }, "topics of the rows"),
      ...Object.entries(about.shipped).map(([name, labels]) => choice({ way: "shipped", name }, `${name}: ${labels.join(", ")}`)),
      ...about.answered.map(({ labels }) => choice({ way: "answered", labels }, `answered: ${labels.join(", ")}`)),
      choice({ way: "none" }, "no labels"));
    byId("lens-typed").value = "";
    fill(byId("topics-list"));
    this.waiting = false;
    this.show(lens ? "" : "typed");
  }

  /** Show what belongs to a way to start. */
  show(way) {
    byId("start-typed").hidden = way !== "typed";
    byId("start-topics").hidden = way !== "topics";
    if (way === "" || way === "typed") byId("lens-start").value = JSON.stringify({ way });
  }

  /** The labels were edited: they are no longer those that were typed. */
  close() {
    this.waiting = false;
    if (!byId("start-typed").hidden) this.show("");
  }

  async choose(chosen) {
    const { way, name, labels } = JSON.parse(chosen);
    this.show(way);
    if (way === "none") this.take([], null);
    if (way === "answered") this.take(labels.map((label) => [label, [label]]), { labels, ordinal: false });
    if (way !== "shipped") return;
    const found = await api.labels({ lens: { labels: name } });
    this.take(found.labels, { labels: name, ordinal: found.ordinal });
  }

  /** Take what is typed, if it is not taken yet. */
  flush() {
    if (!this.waiting) return;
    this.waiting = false;
    this.typed(typedLabels(byId("lens-typed").value));
  }

  async findTopics() {
    const count = Number(byId("topics-count").value) || 0;
    const found = await this.task.run("looking for topics…", (signal) => api.topics({ count }, signal));
    if (!found) return;
    const boxes = found.topics.map((topic) => ({ topic, box: make("input", { type: "checkbox", checked: true }) }));
    const lines = boxes.map(({ topic, box }) => make("li", {},
      make("label", { class: "way" }, box, make("span", { dir: "auto" }, topic.name),
        make("span", { class: "share" }, percent(topic.share))),
      make("p", { class: "soft", dir: "auto" }, (topic.typical[0] ?? "").slice(0, LONGEST))));
    const take = () => this.takeTopics(boxes.filter(({ box }) => box.checked).map(({ topic }) => topic));
    fill(byId("topics-list"), ...lines, make("li", {}, button("Take these as labels", take)));
  }

  takeTopics(topics) {
    const texts = (topic) => topic.typical.map((text) => text.replace(/\s+/g, " ").trim()).filter(Boolean);
    this.show("");
    this.take(topics.map((topic) => [topic.name, texts(topic).length ? texts(topic) : [topic.name]]), null);
  }
}
