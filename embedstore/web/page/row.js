/** One row of the list. */

import { dot, make, button, counted } from "./dom.js";
import { labelColour } from "./colours.js";
import { disputeOf } from "./people.js";

const SHORT = 100; // characters that are seen whole in any list

/** Make the tag of a row: its label in its colour; null for a row without one. */
export function tagOf(values, row) {
  if (row.tag === undefined) return null;
  const title = `tag: ${row.tag}, score ${row.score?.toFixed(3)}, margin ${row.margin?.toFixed(3)}`;
  return make("span", { class: "tag", title }, dot(labelColour(values, row.tag)), make("span", {}, row.tag));
}

/** Make what people answered of a row; null if nobody did. In a list, those of several people are without names. */
export function answersOf(values, row, { short = false } = {}) {
  const said = Object.entries(row.answers ?? {});
  if (!said.length) return null;
  const list = short && said.length > 1 ? labelsSaid(values, said) : said.map(([who, label]) => answerOf(values, who, label));
  return make("span", { class: "answers" }, disputeOf(row, { short }), ...list);
}

/** Make the labels that several people gave, each once, with the number of people. */
function labelsSaid(values, said) {
  const labels = [...new Set(said.map(([, label]) => label))];
  return labels.map((label) => {
    const people = said.filter(([, one]) => one === label).map(([who]) => who || "someone");
    const title = `${people.join(", ")}: ${label || "skipped"}`;
    return make("span", { class: "answer", title }, dot(labelColour(values, label)), make("span", {}, label || "skipped"),
      people.length > 1 && make("span", { class: "who" }, `×${people.length}`));
  });
}

function answerOf(values, who, label) {
  const title = `${who || "someone"} ${label ? `said ${label}` : "skipped this"}`;
  const mark = label ? "✓" : "–";
  return make("span", { class: "answer", title }, dot(labelColour(values, label)),
    make("span", {}, `${mark} ${label || "skipped"}`),
    make("span", { class: "who" }, who));
}

/** Make the cells of a row that the person has chosen to see; null for none. */
export function cellsOf(row, columns) {
  const cells = columns.filter((name) => row.columns[name]).map((name) =>
    make("span", { class: "cell" }, make("span", { class: "name" }, name), ` ${row.columns[name]} `));
  return cells.length ? make("span", { class: "cells" }, ...cells) : null;
}

/** Make the similarity of a row to what is searched for; null if nothing is. */
export function similarityOf(row) {
  if (row.similarity === undefined) return null;
  return make("span", { class: "similarity", title: "cosine similarity" }, row.similarity.toFixed(3));
}

/**
 * Make a row of the list.
 * @param {Object} values The values of the state.
 * @param {Object} row The row as the server gives it; undefined while it is on its way.
 * @param {number} index Its place in the list.
 * @param {{columns: string[], read: function, like: function}} more Columns to show; what the buttons do.
 */
export function rowElement(values, row, index, { columns, read, like }) {
  const aria = { posinset: index + 1, setsize: values.total };
  if (!row) return make("article", { class: "row waiting", aria: { ...aria, busy: true } }, "…");
  const current = values.current?.row.row === row.row;
  return make(
    "article",
    {
      class: current ? "row current" : "row",
      aria: { ...aria, current },
      data: { row: row.row, index },
      on: { click: () => read(index) },
    },
    make("div", { class: "head" }, make("span", { class: "id", title: `row ${row.row}` }, row.id),
      tagOf(values, row), similarityOf(row), answersOf(values, row, { short: true })),
    make("p", { class: "text", dir: "auto" }, row.text.slice(0, 600)),
    make("div", { class: "foot" }, cellsOf(row, columns) ?? make("span", { class: "cells" }),
      row.length > SHORT && button("Show all", pressing(() => read(index, true)), {
        class: "quiet", title: `the whole text, ${counted(row.length)} characters`,
      }),
      row.id !== "" && button("More like this", pressing(() => like(row)), { class: "quiet" })),
  );
}

/** Return a listener that keeps a press from counting as a press on the row. */
function pressing(work) {
  return (event) => {
    event.stopPropagation();
    work();
  };
}
