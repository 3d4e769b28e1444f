/** Messages to the person: a few lines at the foot of the page. */

import { button, byId, fill, make } from "./dom.js";

const LONGEST = 300; // characters of an error

let timer = 0;
let failed = ""; // the kind of load whose error is told

/**
 * Say something; what is long scrolls, with the keyboard too.
 * @param {string} text What to say.
 * @param {{error?: boolean, action?: string, press?: function}} more An error stays; an action is a button.
 */
export function say(text, { error = false, action = "", press = null } = {}) {
  const line = byId("notice");
  clearTimeout(timer);
  failed = "";
  line.hidden = false;
  line.classList.toggle("error", error);
  line.setAttribute("role", error ? "alert" : "status");
  fill(
    line,
    make("span", { class: "said" }, error ? beginning(text) : text),
    action && button(action, () => { hush(); press(); }),
    button("Close", hush, { class: "quiet" }),
  );
  const said = line.querySelector(".said");
  if (said.scrollHeight > said.clientHeight) said.tabIndex = 0;
  if (!error) timer = setTimeout(hush, 8000);
}

/** Take the line away. */
export function hush() {
  failed = "";
  byId("notice").hidden = true;
}

/**
 * Say what went wrong; what was stopped on purpose is no error.
 * @param {Error} error What went wrong.
 * @param {string} kind The kind of load, if another load of it makes good for it; see `works`.
 */
export function complain(error, kind = "") {
  if (error.name === "AbortError") return;
  say(error.message, { error: true });
  failed = kind;
}

/** A kind of load works again: take away what was said of its failure. */
export function works(kind) {
  if (failed === kind) hush();
}

/** The person asked for something else: take away what was said of any load. */
export function forgive() {
  if (failed) hush();
}

/** Return the beginning of a text. */
function beginning(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
