/** Groups of rows with nearly the same text. */

import { api } from "./api.js";
import { button, byId, counted, fill, make } from "./dom.js";
import { Task } from "./task.js";

const LONGEST = 200; // characters of a text that are shown

export class Duplicates {
  /** @param {{read: function(number)}} work Reads a row by its number. */
  constructor({ read }) {
    this.read = read;
    this.task = new Task(byId("duplicates-task"));
    byId("duplicates-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
    });
  }

  leave() {
    this.task.leave();
  }

  async find() {
    const threshold = Number(byId("threshold").value);
    const found = await this.task.run("comparing each text with the others…",
      (signal) => api.duplicates({ threshold }, signal));
    if (!found) return;
    const { total, groups, sizes } = found;
    const first = groups.length < total ? `; the largest ${counted(groups.length)} are listed` : "";
    byId("duplicates-head").textContent = total
      ? `${counted(total)} ${total === 1 ? "group" : "groups"}${first}.` : "No two texts are so similar.";
    fill(byId("duplicates"), ...groups.map((group, place) => this.group(group, sizes[place])));
  }

  group(rows, size) {
    const more = size > rows.length ? `, ${counted(rows.length)} of them listed` : "";
    return make("li", {}, make("details", {},
      make("summary", {}, `${counted(size)} rows${more}: `, make("span", { class: "soft", dir: "auto" }, beginning(rows[0].text))),
      make("ul", {}, ...rows.map((row) => make("li", {},
        button(row.id, () => this.read(row.row), { class: "quiet", title: "read this row" }),
        make("span", { class: "similarity" }, row.similarity.toFixed(3)),
        make("span", { dir: "auto" }, ` ${beginning(row.text)}`))))));
  }
}

function beginning(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
