/** Small helpers to build the page. Text always goes in as text, never as HTML. */

/**
 * Make an element.
 * @param {string} tag Name of the element.
 * @param {Object} given Properties; `data` and `aria` hold attributes, `on` listeners, `class` the classes.
 * @param {...(Node|string|null|false)} children What is inside; null and false are left out.
 */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "on") listen(element, value);
    else if (name === "aria") setAria(element, value);
    else if (name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

/** Add listeners, given as {event: function}. */
export function listen(element, listeners) {
  for (const [event, listener] of Object.entries(listeners)) element.addEventListener(event, listener);
}

/** Set ARIA attributes, given without their "aria-". */
export function setAria(element, values) {
  for (const [name, value] of Object.entries(values)) element.setAttribute(`aria-${name}`, String(value));
}

/** Return the element with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Put children in the place of those that are there; null and false are left out. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== false));
  return element;
}

/** Make a button that does something when it is pressed. */
export function button(text, press, given = {}) {
  return make("button", { type: "button", ...given, on: { click: press } }, text);
}

/** Make a dot in the colour of a group. */
export function dot(colour) {
  const element = make("span", { class: "dot", aria: { hidden: true } });
  element.style.backgroundColor = colour;
  return element;
}

/** Return a number as people read it. */
export function counted(number) {
  return number.toLocaleString("en");
}

/** Return a function that runs `work` once, a while after it was last called. */
export function later(work, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}
