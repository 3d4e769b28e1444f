/** The panes: which stand beside each other, and which one is seen where there is no room for three. */

import { byId } from "./dom.js";

/** The place of each panel that opens: on the left in the place of the counts, or in the middle in that of the map. */
const PLACES = { shape: "left", judge: "middle" };

const NARROW = "(max-width: 900px)"; // as in the style sheet

export class Panes {
  constructor() {
    this.last = "list";
    for (const tab of document.querySelectorAll("[data-tab]")) {
      tab.addEventListener("click", () => (tab.dataset.tab === "judge" ? this.onJudge() : this.show(tab.dataset.tab)));
    }
    this.onJudge = () => this.open("judge");
  }

  /** Show one pane where there is room for one only. */
  show(name) {
    const { dataset } = document.body;
    if (!(dataset.pane in PLACES)) this.last = dataset.pane;
    dataset.pane = name;
    for (const one of document.querySelectorAll("[data-tab]")) {
      one.setAttribute("aria-pressed", String(one.dataset.tab === name));
    }
  }

  /** Show a pane that is hidden for want of room. */
  showAlone(name) {
    if (matchMedia(NARROW).matches) this.show(name);
  }

  isOpen(name) {
    return document.body.dataset[PLACES[name]] === name;
  }

  /** Open a panel. */
  open(name) {
    document.body.dataset[PLACES[name]] = name;
    if (name === "shape") byId("shape-tab").hidden = false;
    this.show(name);
  }

  /** Close a panel. */
  close(name) {
    delete document.body.dataset[PLACES[name]];
    if (name === "shape") byId("shape-tab").hidden = true;
    if (document.body.dataset.pane === name) this.show(this.last);
  }
}
