/** The menus that open below their word: Escape and a press outside close them, and they stay inside the window. */

const EDGE = 8; // pixels that are left free at the edge of the window

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

/** Make the sheet of a menu no higher than the room below its word; the style sheet sees to its width. */
function keepInside(menu) {
  const sheet = menu.querySelector(".sheet");
  sheet.style.maxHeight = `${innerHeight - sheet.getBoundingClientRect().top - EDGE}px`;
}
