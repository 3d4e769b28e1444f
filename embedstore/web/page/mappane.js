/** The pane of the map: what the points mean, which are shown, and the text of the one under the pointer. */

import { api } from "./api.js";
import { groupColours } from "./colours.js";
import { byId, dot, fill, later, make } from "./dom.js";
import { hangsOnSaid } from "./lens.js";
import { PointMap } from "./map.js";
import { complain, works } from "./notices.js";
import { DOUBTS, hangsOnAnswers, isSaid, saidColumns, titleOf, viewOf } from "./query.js";
import { SHOWN_BY } from "./state.js";

const LONGEST = 400; // characters of a text beside the pointer
const MOST_TEXTS = 500; // that are kept
const ONE_COLOUR = "#0072B2";

export class MapPane {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   * @param {{read: function(number)}} work Reads a row by its number.
   */
  constructor(state, kept, { read }) {
    Object.assign(this, { state, kept, texts: new Map(), shown: null, maskStop: null, colourStop: null });
    this.map = new PointMap(byId("points"), byId("marks"), {
      hover: (row, place) => this.hover(row, place),
      pick: read,
      outline: (corners) => this.outlined(corners),
    });
    this.tellSoon = later((row) => this.tell(row), 80);
    state.watch([...SHOWN_BY, "lens"], () => this.loadMask());
    state.watch(["by", "lens"], () => this.loadColours());
    state.watch(["answers"], () => this.answered());
    state.watch(["by", "lens", "about", "doubted"], () => this.drawChoices());
    state.watch(["method", "layout"], () => this.renewPoints());
    state.watch(["rows"], () => this.loadAll());
    state.watch(["lasso"], ({ lasso }) => this.map.setMarks({ corners: lasso }));
    state.watch(["current"], ({ current }) => this.map.setMarks({ ring: current ? current.row.row : -1 }));
    this.listen();
    this.drawChoices();
    this.map.setLook({ colours: [ONE_COLOUR] });
    this.takeTheme();
  }

  /** Load everything that there is for each row. */
  loadAll() {
    this.loadPoints();
    this.loadMask();
    this.loadColours();
  }

  /** The map that is to be shown, and a mark of its places. */
  get wanted() {
    const { method, layout } = this.state.values;
    return { method, mark: method === "neighbours" ? layout.mark : "" };
  }

  /** Load the points once more if the map is another one. */
  renewPoints() {
    const { method, mark } = this.wanted;
    if (this.shown && (method !== this.shown.method || mark !== this.shown.mark)) this.loadPoints();
  }

  async loadPoints() {
    const { wanted } = this;
    const { method } = wanted;
    const stay = this.shown?.method === method;
    this.shown = wanted;
    try {
      const points = await api.map(method);
      if (this.shown !== wanted) return; // another map has been asked for meanwhile
      this.map.setPoints(points, { stay });
      byId("marks").dataset.method = method;
      works("map");
    } catch (error) {
      complain(error, "map");
    }
  }

  /** Load which rows are shown; without any condition all are. */
  async loadMask() {
    this.maskStop?.abort();
    this.maskStop = new AbortController();
    const view = viewOf(this.state.values);
    try {
      const mask = Object.keys(view.query).length ? await api.mask(view, this.maskStop.signal) : null;
      this.map.setLook({ mask });
      this.state.change({ mask });
    } catch (error) {
      if (error.name !== "AbortError") this.map.setLook({ mask: null }); // the list says what is wrong
    }
  }

  async loadColours() {
    const { by, lens } = this.state.values;
    this.colourStop?.abort();
    this.colourStop = new AbortController();
    try {
      const none = { groups: [], codes: null };
      const { groups, codes } = by ? await api.colours({ by, lens }, this.colourStop.signal) : none;
      this.state.change({ groups });
      this.map.setLook({ codes, colours: by ? groupColours(this.state.values) : [ONE_COLOUR] });
      this.drawLegend();
      works("colours");
    } catch (error) {
      complain(error, "colours");
    }
  }

  /** Load what other answers change. */
  answered() {
    const { values } = this.state;
    if (hangsOnAnswers(values)) this.loadMask();
    if (hangsOnSaid(values.lens) || isSaid(values.by)) this.loadColours();
  }

  drawLegend() {
    const { groups, by } = this.state.values;
    const colours = groupColours(this.state.values);
    const lines = groups.map((group, number) => make("li", {}, dot(colours[number]), group || "(empty)"));
    byId("legend").hidden = !by;
    fill(byId("legend"), ...lines);
  }

  /** Show the columns that can colour the map. */
  drawChoices() {
    const { about, lens, by } = this.state.values;
    const said = saidColumns(this.state.values);
    const own = about.columns.map((one) => one.name);
    const doubted = new Set([...(about.answered.length ? said : []), this.state.values.doubted].filter(Boolean));
    const more = ["topics", ...[...doubted].map((name) => `${DOUBTS}${name}`)].filter((name) => !own.includes(name));
    const names = [...(lens ? ["Predicted_Labels", "score", "margin"] : []), ...said, ...own, ...more];
    const chosen = names.includes(by) ? by : "";
    const options = [...new Set(names)].map((name) => make("option", { value: name }, written(name)));
    fill(byId("by"), make("option", { value: "" }, "one colour"), ...options);
    byId("by").value = chosen;
    if (chosen !== by) this.state.change({ by: chosen });
  }

  listen() {
    byId("by").addEventListener("change", (event) => this.colourBy(event.target.value));
    byId("outline").addEventListener("click", () => this.draw(!this.map.drawing));
    byId("zoom-in").addEventListener("click", () => this.map.zoom(1.4));
    byId("zoom-out").addEventListener("click", () => this.map.zoom(1 / 1.4));
    byId("zoom-all").addEventListener("click", () => this.map.reset());
  }

  colourBy(by) {
    this.kept.put("by", by);
    this.state.change({ by });
  }

  /** Turn the drawing of outlines on or off. */
  draw(on) {
    this.map.drawing = on;
    byId("outline").setAttribute("aria-pressed", String(on));
    byId("marks").classList.toggle("drawing", on);
  }

  /** Show the rows inside an outline, on the map on which it was drawn: another one can be on its way. */
  outlined(corners) {
    this.draw(false);
    const { method } = byId("marks").dataset;
    this.state.change({ lasso: corners, ...(corners.length && method ? { method } : {}) });
  }

  /** Take the colours of light or dark from the style sheet. */
  takeTheme() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.map.setLook({
      ground: colour("--map"), out: colour("--point-out"), none: colour("--point-none"), ink: colour("--ink"),
    });
  }

  hover(row, place) {
    byId("tip").hidden = true;
    if (row >= 0) this.place = place;
    this.over = row;
    this.tellSoon(row);
  }

  /** Show the text of a row beside its point. */
  async tell(row) {
    if (row < 0 || row !== this.over) return;
    try {
      if (!this.texts.has(row)) this.texts.set(row, (await api.text(row)).slice(0, LONGEST));
    } catch {
      return; // a text that can't be had is no matter here: the pointer only passes
    }
    if (this.texts.size > MOST_TEXTS) this.texts.delete(this.texts.keys().next().value);
    if (row !== this.over) return;
    const tip = byId("tip");
    tip.textContent = this.texts.get(row) ?? "";
    tip.hidden = false;
    this.putTip(tip);
  }

  /** Put the text where it hides neither its point nor the edge of the map. */
  putTip(tip) {
    const [left, top] = this.place;
    const { clientWidth: width, clientHeight: height } = byId("marks");
    tip.style.left = `${Math.max(4, Math.min(left + 14, width - tip.offsetWidth - 4))}px`;
    const below = top + 14 + tip.offsetHeight < height;
    tip.style.top = `${below ? top + 14 : Math.max(4, top - tip.offsetHeight - 14)}px`;
  }
}

/** Return the name of what colours the map as people read it. */
function written(name) {
  return name.startsWith(DOUBTS) ? `doubts of ${titleOf(name.slice(DOUBTS.length))}` : titleOf(name);
}
