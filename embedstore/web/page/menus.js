/** The menus that open below their word: Escape and a press outside close them, and they stay inside the window. */

const EDGE = 8; // pixels that are left free at the edges of the window

/** Let all menus of the page close by themselves. */
export function listenToMenus() {
  for (const menu of document.querySelectorAll("details.menu")) {
    menu.addEventListener("toggle", () => menu.open && keepInside(menu));
  }
  document.addEventListener("keydown", (event) => event.key === "Escape" && closeByKey());
  document.addEventListener("pointerdown", ({ target }) => {
    for (const menu of openMenus()) menu.open = menu.contains(target);
  });
}

function openMenus() {
  return [...document.querySelectorAll("details.menu[open]")];
}

/** Close the menu; the focus goes back to the word that opens it. */
function closeByKey() {
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

/** Move the sheet of a menu into the window, and make it no higher than what is below its word. */
function keepInside(menu) {
  const sheet = menu.querySelector(".sheet");
  sheet.style.translate = "";
  const { left, top } = sheet.getBoundingClientRect();
  sheet.style.translate = `${Math.max(0, EDGE - left)}px 0`;
  sheet.style.maxHeight = `${innerHeight - top - EDGE}px`;
}
