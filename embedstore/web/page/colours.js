/** Colours of groups: the same in the list, on the map, in its legend and in the counts. */

import { DOUBTS, isSaid } from "./query.js";

/** Okabe and Ito's, which colour-blind people can tell apart; then some of Tol's. */
const PALETTE = [
  "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9",
  "#F0E442", "#999933", "#882255", "#44AA99", "#AA4499", "#117733",
];
const OTHERS = "#8A8A8A";
const DOUBTFUL = "#D55E00";

/** Return the colour of a group by its number; the groups after the twelfth share one. */
export function colourAt(number) {
  return PALETTE[number] ?? OTHERS;
}

/** Return the colour of a label by its name. */
export function labelColour(values, label) {
  const place = values.labels.indexOf(label);
  return place < 0 ? OTHERS : colourAt(values.paint.get(label) ?? place);
}

/** Return whether a column has labels as its values. */
export function holdsLabels(column) {
  return column === "Predicted_Labels" || isSaid(column);
}

/** Return the colours of the groups of the column that colours the map, in their order. */
export function groupColours(values) {
  if (values.by.startsWith(DOUBTS)) return values.groups.map((group) => (group === "likely wrong" ? DOUBTFUL : OTHERS));
  return values.groups.map((group, number) => {
    if (holdsLabels(values.by) && values.labels.includes(group)) return labelColour(values, group);
    return group === "(others)" ? OTHERS : colourAt(number);
  });
}

/** Return the colour of a value in the counts of a column; "" for a column that has none. */
export function valueColour(values, column, value) {
  if (holdsLabels(column) && values.labels.includes(value)) return labelColour(values, value);
  if (column !== values.by) return "";
  const number = values.groups.indexOf(value);
  return number < 0 ? "" : groupColours(values)[number];
}
