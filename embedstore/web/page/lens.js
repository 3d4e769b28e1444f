/** The labels that a person looks through, in the forms in which they are typed, kept and sent. */

const SLACK = 0.02; // how far the sum of all shares may be from 1

/** Return the names of labels in any form that the server takes. */
export function namesOf(about, labels) {
  if (typeof labels === "string") return about.shipped[labels] ?? [];
  if (!Array.isArray(labels)) return Object.keys(labels);
  return labels.map((one) => (Array.isArray(one) ? one[0] : one));
}

/**
 * Read labels that were typed: one a line, with descriptions after a colon.
 * @returns {[string, string[]][]} Pairs of a name and its descriptions, which can be none.
 */
export function typedLabels(typed) {
  const lines = typed.split("\n").map((line) => line.trim()).filter(Boolean);
  const parts = lines.map((line) => /^([^:]+)(?::(.*))?$/.exec(line)?.slice(1) ?? [line]);
  return parts.map(([name, said]) => [name.trim(), (said ?? "").split(";").map((text) => text.trim()).filter(Boolean)]);
}

/**
 * Return labels as the server takes them: names if none has a description; null for no labels.
 * @param {[string, string[]][]} pairs Names and descriptions; a label without any is described by its name.
 */
export function labelsOf(pairs) {
  const names = pairs.map(([name]) => name);
  if (!names.length) return null;
  if (names.some((name) => !name)) throw new Error("expected a name for each label, found one without");
  if (names.length < 2) throw new Error("expected at least two labels, found one");
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice) throw new Error(`expected each label once, found ${twice} twice`);
  if (pairs.every(([name, texts]) => !texts.length || (texts.length === 1 && texts[0] === name))) return names;
  return pairs.map(([name, texts]) => [name, texts.length ? texts : [name]]);
}

/**
 * Return the known shares of labels by name, as the server takes them; null if none is known.
 * @param {{name: string, share: number|null}[]} items Labels; the share of one can be null.
 */
export function knownShares(items) {
  const known = items.filter(({ share }) => share !== null);
  const told = `${Number((100 * known.reduce((sum, { share }) => sum + share, 0)).toFixed(2))} %`;
  if (known.some(({ share }) => !(share > 0))) throw new Error("expected known shares above 0 %: leave a field blank if a share is unknown");
  const total = known.reduce((sum, { share }) => sum + share, 0);
  if (known.length < items.length && total >= 1) throw new Error(`expected known shares below 100 % together, found ${told}`);
  if (known.length === items.length && Math.abs(total - 1) > SLACK) throw new Error(`expected known shares of 100 % together, found ${told}`);
  return known.length ? Object.fromEntries(known.map(({ name, share }) => [name, share])) : null;
}

/** Return whether other answers can change the tags: they learn from them, or their confidence is calibrated on them. */
export function hangsOnSaid(lens) {
  return Boolean(lens) && (Boolean(lens.examples) || typeof lens.min_confidence === "number");
}

/**
 * Look through labels from now on; null for none. Everything that is shown is loaded.
 * @param {State} state The state of the page.
 * @param {Object} lens The labels as the server takes them.
 * @param {{paint: Map, more: Object}} given The number of each label's colour; further values of the state.
 */
export function takeLens(state, lens, { paint = new Map(), more = {} } = {}) {
  const { about, find, by } = state.values;
  const names = lens ? namesOf(about, lens.labels) : [];
  const known = names.length ? lens : null;
  const sort = known ? find.sort : "rows";
  const began = Boolean(known) !== Boolean(state.values.lens);
  const colour = began ? { by: known ? "Predicted_Labels" : "" } : { by };
  state.change({ lens: known, labels: names, paint, notes: [], find: { ...find, sort }, ...colour, ...more });
}
