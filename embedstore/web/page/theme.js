/** Light or dark: as the system has it, or as the person chose it. */

import { byId } from "./dom.js";

const NAME = "embedstore:theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Take the choice that the browser keeps, and let the person change it. `changed` is called after each change. */
export function followTheme(changed) {
  const chosen = read();
  if (chosen) document.documentElement.dataset.theme = chosen;
  byId("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    keep(theme);
    changed();
  });
  DARK.addEventListener("change", changed);
}

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : DARK.matches;
}

function read() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function keep(theme) {
  try {
    localStorage.setItem(NAME, theme);
  } catch {
    // a browser that keeps nothing has the system's choice again next time
  }
}
