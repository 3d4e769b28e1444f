/** Small pictures, drawn as SVG. */

import { make } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 200; // of the square in which a curve lies
const LEFT = 36, TOP = 8, LOW = 34;

/** Make an SVG element with attributes; text goes in as text. */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Return a share as people read it. */
export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

/**
 * Draw how often tags of a confidence are right.
 * @param {{confidence: number, accuracy: number, count: number}[]} steps Rows of like confidence; shares from 0 to 1.
 */
export function curve(steps) {
  const x = (share) => LEFT + SIDE * share;
  const y = (share) => TOP + SIDE * (1 - share);
  const most = Math.max(1, ...steps.map((step) => step.count));
  const lines = [0, 0.5, 1].flatMap((share) => [
    draw("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
    draw("line", { class: "grid", x1: x(share), x2: x(share), y1: y(0), y2: y(1) }),
    draw("text", { x: LEFT - 5, y: y(share) + 4, "text-anchor": "end" }, share),
    draw("text", { x: x(share), y: y(0) + 15, "text-anchor": "middle" }, share),
  ]);
  const path = steps.map((step) => `${x(step.confidence)},${y(step.accuracy)}`).join(" ");
  const dots = steps.map((step) => draw("circle", {
    class: "step", cx: x(step.confidence), cy: y(step.accuracy), r: 2.5 + 4 * Math.sqrt(step.count / most),
  }, draw("title", {}, `confidence ${percent(step.confidence)}: ${percent(step.accuracy)} right of ${step.count}`)));
  const label = `Reliability: ${steps.map((one) =>
    `at confidence ${percent(one.confidence, 0)}, ${percent(one.accuracy, 0)} are right`).join("; ")}`;
  const size = { width: LEFT + SIDE + 12, height: TOP + SIDE + LOW };
  return draw("svg", { class: "curve", role: "img", "aria-label": label, viewBox: `0 0 ${size.width} ${size.height}`, ...size },
    ...lines,
    draw("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    draw("polyline", { class: "path", points: path }),
    ...dots,
    draw("text", { x: x(0.5), y: y(0) + 30, "text-anchor": "middle" }, "confidence"),
    draw("text", { x: 10, y: y(0.5), "text-anchor": "middle", transform: `rotate(-90 10 ${y(0.5)})` }, "right"));
}

/**
 * Draw how good a classifier is by the number of texts that it has learnt from.
 * @param {{texts: number, accuracy: number, low: number, high: number}[]} points Shares from 0 to 1.
 * @param {number} majority The share of the most frequent class, drawn as a dashed line.
 */
export function learningCurve(points, majority) {
  const left = 44, wide = 300, first = Math.log(points[0].texts), last = Math.log(points.at(-1).texts);
  const least = Math.floor(10 * Math.min(majority, ...points.map((point) => point.low))) / 10;
  const x = (texts) => left + wide * (last > first ? (Math.log(texts) - first) / (last - first) : 0.5);
  const y = (share) => TOP + (SIDE * (1 - share)) / (1 - Math.min(least, 0.9));
  const bottom = TOP + SIDE;
  const sides = [Math.min(least, 0.9), (1 + Math.min(least, 0.9)) / 2, 1].flatMap((share) => [
    draw("line", { class: "grid", x1: left, x2: left + wide, y1: y(share), y2: y(share) }),
    draw("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0)),
  ]);
  const feet = points.flatMap(({ texts }, place) => [
    draw("line", { class: "grid", x1: x(texts), x2: x(texts), y1: TOP, y2: bottom }),
    isNamed(points, place) && draw("text", { x: x(texts), y: bottom + 15, "text-anchor": "middle" }, texts.toLocaleString("en")),
  ]).filter(Boolean);
  const band = [...points.map((one) => [one.texts, one.high]), ...points.toReversed().map((one) => [one.texts, one.low])];
  const dots = points.map((one) => draw("circle", { class: "step", cx: x(one.texts), cy: y(one.accuracy), r: 3.5 },
    draw("title", {}, `${one.texts} texts: ${percent(one.accuracy)} right (${percent(one.low)} to ${percent(one.high)})`)));
  const label = `Learning curve: ${points.map((one) =>
    `${percent(one.accuracy, 0)} right with ${one.texts} texts`).join("; ")}`;
  const size = { width: left + wide + 24, height: bottom + LOW };
  const place = ([texts, share]) => `${x(texts)},${y(share)}`;
  return draw("svg", { class: "curve", role: "img", "aria-label": label, viewBox: `0 0 ${size.width} ${size.height}`, ...size },
    ...sides, ...feet,
    draw("polygon", { class: "band", points: band.map(place).join(" ") }),
    draw("line", { class: "ideal", x1: left, x2: left + wide, y1: y(majority), y2: y(majority) }),
    draw("polyline", { class: "path", points: points.map((one) => place([one.texts, one.accuracy])).join(" ") }),
    ...dots,
    draw("text", { x: left + wide / 2, y: bottom + 30, "text-anchor": "middle" }, "labelled texts"));
}

/** Return whether a point has its number below it: the last one has, and those that are not too near to it. */
function isNamed(points, place) {
  return place === points.length - 1 || points[place].texts * 1.5 < points.at(-1).texts;
}

/**
 * Draw how many rows lie at each step of a scale, those from a step on in another colour.
 * @param {number[]} counts Rows at each step.
 * @param {number} from The first step that is kept.
 */
export function histogram(counts, from) {
  const most = Math.max(1, ...counts), high = 40;
  const bars = counts.map((count, step) => draw("rect", {
    class: step < from ? "out" : "step", x: step, width: 0.9, y: high * (1 - count / most), height: (high * count) / most,
  }));
  return draw("svg", { class: "histogram", viewBox: `0 0 ${counts.length} ${high}`, preserveAspectRatio: "none",
    "aria-hidden": true }, ...bars);
}

/** Draw a share with its interval, on a line from 0 to 1. */
export function interval(low, middle, high) {
  const wide = 120;
  return draw("svg", { class: "interval", width: wide, height: 12, viewBox: `0 0 ${wide} 12`, "aria-hidden": true },
    draw("line", { class: "grid", x1: 0, x2: wide, y1: 6, y2: 6 }),
    draw("line", { class: "path", x1: wide * low, x2: wide * high, y1: 6, y2: 6 }),
    draw("circle", { class: "step", cx: wide * middle, cy: 6, r: 3.5 }));
}

/**
 * Make a table.
 * @param {string} caption What it shows.
 * @param {(string|Node)[]} head Names of the columns.
 * @param {(string|number|Node)[][]} rows The first cell of each row is its name.
 */
export function table(caption, head, rows) {
  const line = ([name, ...cells]) => make("tr", {}, headOf("row", name), ...cells.map((cell) => make("td", {}, cell)));
  return make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((name) => headOf("col", name)))),
    make("tbody", {}, ...rows.map(line)));
}

/** Put a table where it scrolls sideways if it is too wide, with the keyboard too. */
export function scrolled(element) {
  const aria = { label: element.caption.textContent };
  return make("div", { class: "scrolled", role: "group", tabIndex: 0, aria }, element);
}

/** Make the name of a row or column; a corner without a name is no heading. */
function headOf(scope, content) {
  if (content === "") return make("td");
  const cell = make("th", { dir: "auto" }, content);
  cell.scope = scope;
  return cell;
}
