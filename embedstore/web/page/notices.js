/** Messages to the person: one line at the foot of the page. */

import { button, byId, fill, make } from "./dom.js";

let timer = 0;

/**
 * Say something in one line.
 * @param {string} text What to say.
 * @param {{error?: boolean, action?: string, press?: function}} more An error stays; an action is a button.
 */
export function say(text, { error = false, action = "", press = null } = {}) {
  const line = byId("notice");
  clearTimeout(timer);
  line.hidden = false;
  line.classList.toggle("error", error);
  line.setAttribute("role", error ? "alert" : "status");
  fill(
    line,
    make("span", {}, text),
    action && button(action, () => { hush(); press(); }),
    button("Close", hush, { class: "quiet" }),
  );
  if (!error) timer = setTimeout(hush, 8000);
}

/** Take the line away. */
export function hush() {
  byId("notice").hidden = true;
}

/** Say what went wrong; what was stopped on purpose is no error. */
export function complain(error) {
  if (error.name !== "AbortError") say(error.message, { error: true });
}
