/** Which map is shown: by principal components at once, by neighbourhood as soon as it is made; and how far that is. */

import { api } from "./api.js";
import { byId } from "./dom.js";
import { complain } from "./notices.js";

export class LayoutChoice {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   */
  constructor(state, kept) {
    Object.assign(this, { state, kept });
    state.watch(["layout"], () => this.take());
    state.watch(["method", "layout"], () => this.draw());
    byId("method").addEventListener("change", (event) => this.choose(event.target.checked ? "neighbours" : "pca"));
    byId("anew").addEventListener("click", () => this.renew().catch(complain));
    this.draw();
  }

  async renew() {
    this.state.change({ layout: await api.mapAnew() });
  }

  choose(method) {
    this.kept.put("method", method);
    this.state.change({ method, lasso: [] });
  }

  /** Show the map by neighbourhood once it is there, unless an outline is drawn or the person chose another. */
  take() {
    const { layout, method, lasso } = this.state.values;
    const ready = layout.methods.includes("neighbours");
    if (!ready && method === "neighbours") this.state.change({ method: "pca" });
    if (ready && method === "pca" && !lasso.length && this.kept.get("method", "neighbours") === "neighbours") {
      this.state.change({ method: "neighbours" });
    }
  }

  draw() {
    const { layout, method } = this.state.values;
    const ready = layout.methods.includes("neighbours");
    byId("method-line").hidden = !ready;
    byId("method").checked = method === "neighbours";
    byId("anew").hidden = method !== "neighbours" || layout.running;
    byId("layout").textContent = layout.running ? progressOf(layout) : ready ? "" : layout.problem;
  }
}

function progressOf({ placed }) {
  return placed ? `grouping by neighbourhood: ${Math.floor(100 * placed)} %` : "grouping by neighbourhood…";
}
