/**
 * The panel in which a person shapes the labels. Each edit is seen at once in all that is shown; cancelled, the labels
 * are again as they were, and only when they are used does the browser keep them.
 */

import { api } from "./api.js";
import { Cards, itemsOf } from "./cards.js";
import { byId, later } from "./dom.js";
import { knownShares, labelsOf, namesOf, takeLens } from "./lens.js";
import { Moved } from "./moved.js";
import { complain } from "./notices.js";
import { offerFile } from "./takeaway.js";
import { Starts } from "./starts.js";
import { Threshold } from "./threshold.js";

const PAUSE = 500; // milliseconds without a key, after which an edit is taken

export class Shape {
  /**
   * @param {State} state The state of the page.
   * @param {Kept} kept What the browser keeps.
   * @param {Panes} panes Opens and closes panels.
   * @param {Carry} carry Takes answers over.
   */
  constructor(state, kept, panes, carry) {
    Object.assign(this, { state, kept, panes, carry, before: null, opened: "", source: null });
    this.takeSoon = later(() => this.take(), PAUSE);
    this.cards = new Cards(byId("lens-items"), { typed: () => this.edited(), pressed: () => this.edited(true) });
    this.starts = new Starts(state, {
      take: (pairs, source) => this.startFrom(pairs, source),
      typed: (pairs) => this.startFrom(pairs, null, false),
    });
    this.threshold = new Threshold(state, { typed: () => this.take(), tell: (shares) => this.cards.tellNow(shares) });
    this.moved = new Moved(state, (before, after) => this.cards.tellShares(before, after),
      (count) => carry.tell(count));
    this.listen();
  }

  listen() {
    byId("choose-labels").addEventListener("click", () => this.open().catch(complain));
    byId("lens-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.use().catch(complain);
    });
    byId("lens-cancel").addEventListener("click", () => this.cancel());
    byId("lens-add").addEventListener("click", () => this.cards.add());
    addEventListener("beforeunload", (event) => this.isUnsaved && event.preventDefault());
    byId("lens-save").addEventListener("click", () => this.save());
    byId("lens-examples").addEventListener("change", () => this.take());
    byId("lens-method").addEventListener("change", () => {
      this.drawKnown();
      this.take();
    });
  }

  /** Open the panel with the labels of now. */
  async open() {
    if (this.before) return this.panes.open("shape");
    const { lens, labels, paint, shares, by } = this.state.values;
    const found = lens ? await api.labels({ lens }) : { labels: [], ordinal: false, shares: {} };
    this.before = { lens, paint, shares, by };
    this.colours = new Map(labels.map((label, number) => [label, paint.get(label) ?? number]));
    byId("lens-method").value = lens?.method ?? "cosine";
    byId("lens-examples").checked = lens?.examples ?? false;
    this.tell("");
    this.state.change({ shaping: true, asking: false });
    this.panes.open("shape");
    this.starts.open(lens);
    this.setSource(found.labels, { labels: lens?.labels ?? null, ordinal: found.ordinal });
    this.cards.set(itemsOf(found.labels, this.colours, found.shares));
    this.drawKnown();
    this.carry.open();
    this.moved.open(lens, this.cards.items);
    this.threshold.open(lens);
    this.opened = JSON.stringify(this.draft());
  }

  /** Whether the labels of the panel are others than those with which it was opened. */
  get isUnsaved() {
    if (!this.before) return false;
    try {
      return this.starts.waiting || JSON.stringify(this.draft()) !== this.opened;
    } catch {
      return true; // labels that cannot be used yet are edits too
    }
  }

  /** Remember what the labels came from: as long as nobody changes them, they are sent by that name. */
  setSource(pairs, { labels, ordinal }) {
    this.source = { typed: JSON.stringify(pairsOf(itemsOf(pairs, new Map()))), labels, ordinal };
  }

  /** Start from other labels. */
  startFrom(pairs, source, now = true) {
    this.setSource(pairs, source ?? { labels: null, ordinal: false });
    this.cards.set(itemsOf(pairs, this.colours));
    if (now) this.take();
    else this.takeSoon();
  }

  /** Whether the way of tagging takes known shares. */
  get takesShares() {
    return byId("lens-method").value !== "cosine";
  }

  /** Let known shares be given where they count. */
  drawKnown() {
    byId("lens-items").classList.toggle("with-shares", this.takesShares);
  }

  edited(now = false) {
    this.starts.close();
    if (now) this.take();
    else this.takeSoon();
  }

  /** Return the labels of the panel as the server takes them; null for none. */
  draft() {
    const pairs = pairsOf(this.cards.items);
    const same = this.source.labels !== null && JSON.stringify(pairs) === this.source.typed;
    const labels = same ? this.source.labels : labelsOf(pairs);
    if (labels === null) return null;
    const lens = { labels, method: byId("lens-method").value, examples: byId("lens-examples").checked };
    const { least } = this.threshold;
    const shares = this.takesShares ? knownShares(this.cards.items) : null;
    return {
      ...lens,
      ...(this.source.ordinal && typeof labels !== "string" && { ordinal: true }),
      ...(shares !== null && { shares }),
      ...(least !== null && { min_confidence: least }),
    };
  }

  /** Show everything through the labels of the panel; return whether they can be used. */
  take() {
    if (!this.before) return false;
    let lens;
    try {
      lens = this.draft();
    } catch (error) {
      this.tell(error.message);
      return false;
    }
    this.tell("");
    if (JSON.stringify(lens) === JSON.stringify(this.state.values.lens)) return true;
    const { items } = this.cards;
    const paint = new Map(items.map((item) => [item.name, item.colour]));
    const renamed = new Map(items.map((item) => [item.applied, item.name]));
    for (const item of items) item.applied = item.name;
    takeLens(this.state, lens, { paint, more: { renamed, ...this.moved.changed(items) } });
    this.moved.load(items);
    return true;
  }

  /** Use the labels, and close the panel; it stays open if the answers can't be taken over. */
  async use() {
    this.starts.flush();
    if (!this.take()) return;
    const { lens, paint } = this.state.values;
    if (this.otherNames(lens) && !(await this.carryOver(lens))) return;
    this.kept.put("lens", lens);
    this.kept.put("paint", [...paint]);
    this.close();
  }

  /** Return whether the names of the labels are others than before. */
  otherNames(lens) {
    const [before, now] = [this.before.lens, lens].map((one) => one && namesOf(this.state.values.about, one.labels));
    return Boolean(before && now) && JSON.stringify([...before].sort()) !== JSON.stringify([...now].sort());
  }

  /** Take the answers over to the labels; return whether it went well. Nothing can be edited meanwhile. */
  async carryOver(lens) {
    byId("lens-form").inert = true;
    try {
      await this.carry.run({ before: this.before.lens, lens, renamed: this.moved.renamed(this.cards.items) });
      return true;
    } catch (error) {
      this.tell(error.message);
      return false;
    } finally {
      byId("lens-form").inert = false;
    }
  }

  /** Bring back the labels as they were. */
  cancel() {
    const { lens, paint, shares, by } = this.before;
    this.close();
    if (lens !== this.state.values.lens) takeLens(this.state, lens, { paint, more: { shares, by } });
  }

  close() {
    this.before = null;
    this.moved.close();
    this.threshold.close();
    this.panes.close("shape");
    this.state.change({ shaping: false, changed: null });
  }

  tell(problem) {
    byId("lens-problem").textContent = problem;
    byId("lens-problem").hidden = !problem;
  }

  /** Save the labels of the panel as a label set file. */
  async save() {
    this.starts.flush();
    try {
      const lens = this.draft();
      const { yaml } = await api.yaml({ lens });
      const name = byId("lens-name").value.trim() || "labels";
      offerFile(new Blob([yaml], { type: "application/yaml" }), `${name}.yaml`);
    } catch (error) {
      this.tell(error.message);
    }
  }
}

/** Return the labels that the browser has kept, and their colours. */
export function keptLens(state, kept) {
  const lens = kept.get("lens", null);
  const known = lens && namesOf(state.values.about, lens.labels).length ? lens : null;
  return { lens: known, paint: new Map(kept.get("paint", [])) };
}

function pairsOf(items) {
  return items.map(({ name, texts }) => [name, texts]);
}
