/** From what a person chose to the query and the SQL that the server takes. */

import { hangsOnSaid } from "./lens.js";

const NUMBERS = /^(u?int|float|double|half|decimal)/;
const NESTED = /^(list|large_list|struct|map|fixed_size_list)/;
/** Beginning of the name of a column of doubts; the name of the column of labels follows. */
export const DOUBTS = "doubts:";

const NUMBER = /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/;

/** Return a column's name as SQL has it. */
export function nameOf(column) {
  return `"${column.replaceAll('"', '""')}"`;
}

/** Return a text as SQL has it. */
export function textOf(value) {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Return whether the values of a type can be compared with one value. */
export function isPlain(type) {
  return !NESTED.test(type);
}

/** Return the condition for one bin of the counts: a value, a range of numbers, or no value. */
function binCondition(column, type, bin) {
  const name = nameOf(column);
  if (bin.missing) return `${name} IS NULL`;
  if ("low" in bin) {
    const low = bin.low === null ? "" : `${bin.low} <= ${name}`;
    const high = bin.high === null ? "" : `${name} < ${bin.high}`;
    return [low, high].filter(Boolean).join(" AND ");
  }
  return `${name} = ${NUMBERS.test(type) && NUMBER.test(bin.name) ? bin.name : textOf(bin.name)}`;
}

/** Return the condition for the bins that are chosen of a column: any of them. */
export function pickCondition(column, { type, bins }) {
  const parts = bins.map((bin) => binCondition(column, type, bin));
  return parts.length === 1 ? parts[0] : parts.map((part) => `(${part})`).join(" OR ");
}

/** Return all conditions of the state as one; "" for none. */
export function whereOf(values) {
  const picked = Object.entries(values.picks).map(([column, pick]) => pickCondition(column, pick));
  const parts = [...picked, ...values.conditions];
  return parts.length === 1 ? parts[0] : parts.map((part) => `(${part})`).join(" AND ");
}

/** Return the query of the state. */
export function queryOf(values) {
  const { meaning, words, like, least, sort } = values.find;
  const query = {};
  const where = whereOf(values);
  if (where) query.where = where;
  if (words) query.words = words;
  if (meaning) query.meaning = meaning;
  if (like) query.like = like;
  if (least !== null && isRanked(values)) query.least = least;
  if (values.lasso.length) Object.assign(query, { lasso: values.lasso, map: values.method });
  if (values.answered) Object.assign(query, { answered: values.answered.how, who: values.answered.who });
  if (values.changed) Object.assign(query, { changed_from: values.changed.before, renamed: values.changed.renamed });
  if (sort === "unsure" && values.lens && !isRanked(values)) query.sort = sort;
  return query;
}

/** Return the query and the labels, as most requests have them. */
export function viewOf(values) {
  return { query: queryOf(values), lens: values.lens };
}

/** Return whether the rows come in the order of their similarity to something. */
export function isRanked(values) {
  return Boolean(values.find.meaning || values.find.like);
}

/** Return the columns that make the text of a row, from a template such as "{title}: {review}". */
export function textColumns(about) {
  const inBraces = [...about.text.matchAll(/\{([^{}]*)\}/g)].map((found) => found[1]);
  return inBraces.length ? inBraces : [about.text];
}

/** Return the kind of a column that a condition can name. */
export function typeOf(about, column) {
  const own = about.columns.find((one) => one.name === column);
  if (own) return own.type;
  return ["score", "margin", "confidence"].includes(column) ? "double" : "string";
}

/**
 * Return the columns of what people said: one, or one for each label set that was answered with, the present one first.
 */
export function saidColumns({ about, labels }) {
  if (about.answered.length < 2) return ["annotations"];
  const sets = about.answered.map((one) => one.labels);
  const present = sets.filter((one) => isSame(one, labels));
  return [...present, ...sets.filter((one) => !isSame(one, labels))].map((one) => `annotations:${joined(one)}`);
}

/** Return whether people have answered with the labels that are looked through. */
export function isAnswered({ about, labels }) {
  return labels.length > 0 && about.answered.some((one) => isSame(one.labels, labels));
}

/** Return whether a column is one of what people said. */
export function isSaid(column) {
  return column.split(":")[0] === "annotations";
}

/** Return the name of a column as people read it: "annotations (good, bad)" for answers with these labels. */
export function titleOf(column) {
  const place = column.indexOf(":");
  if (!isSaid(column) || place < 0) return column;
  const labels = column.slice(place + 1).match(/(?:\\.|[^\\|])+/g) ?? [];
  return `annotations (${labels.map((label) => label.replace(/\\(.)/g, "$1")).join(", ")})`;
}

/** Return labels in one text, as the name of a column of answers has them. */
function joined(labels) {
  return labels.map((label) => label.replace(/[\\|=]/g, "\\$&")).join("|");
}

function isSame(one, other) {
  return one.length === other.length && one.every((label) => other.includes(label));
}

/** Return whether other answers can change which rows are shown. */
export function hangsOnAnswers(values) {
  return hangsOnSaid(values.lens) || Boolean(values.answered) || /annotations/i.test(whereOf(values));
}
