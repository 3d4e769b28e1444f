/** The keys of the page. They mean nothing while a person types, or while a dialog is open. */

import { byId } from "./dom.js";
import { KEYS } from "./labelbar.js";

/**
 * Listen to the keys.
 * @param {State} state The state of the page.
 * @param {{label: function(string), skip: function, undo: function, step: function(number), help: function}} work
 */
export function listenToKeys(state, work) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (press(state, work, event)) event.preventDefault();
  });
}

function isTyping(target) {
  return target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
}

/** Do what a key means; return whether it means something. */
function press(state, work, event) {
  const { labels, about, shaping } = state.values;
  const label = labels[KEYS.indexOf(event.key)];
  const byArrow = event.target.matches("body, #rows, #reader, article, article *");
  if (event.key === "j" || (byArrow && event.key === "ArrowDown")) work.step(1);
  else if (event.key === "k" || (byArrow && event.key === "ArrowUp")) work.step(-1);
  else if (event.key === "/") byId("asked").focus();
  else if (event.key === "?") work.help();
  else if (about.read_only || shaping) return false;
  else if (event.key === "u") work.undo();
  else if (event.key === "0" || event.key === "s") work.skip();
  else if (label !== undefined) work.label(label);
  else return false;
  return true;
}
