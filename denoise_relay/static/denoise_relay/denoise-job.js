/**
 * `<denoise-job>`: keeps what the server rendered up to date.
 *
 * The server's HTML is complete by itself; this finds its parts by `data-part` and changes
 * only text and attributes. All texts come with the element (`data-texts`).
 */

import { browser } from "./environment.js";
import { fill, percentText } from "./format.js";
import { applyFrame, applySnapshot, initialState, isTerminal } from "./live/job_state.js";
import { subscriptions } from "./live/subscriptions.js";
import { part } from "./parts.js";

/** @typedef {import("./live/job_state.js").JobState} JobState */

/** Progress is announced when it passes one of these: every percent would be noise. */
const ANNOUNCE_EVERY = 25;

export class DenoiseJob extends HTMLElement {
  /** Before the element is connected, of no job. */
  #state = initialState({ job: "" });
  /** @type {Record<string, any>} */
  #texts = {};
  /** @type {(() => void)|null} */
  #leave = null;
  #announced = 0;

  connectedCallback() {
    if (this.#leave !== null || !this.dataset.job) return;
    if (this.#state.job !== this.dataset.job) {
      this.#texts = JSON.parse(this.dataset.texts ?? "{}");
      this.#state = initialState({
        job: this.dataset.job,
        seq: Number(this.dataset.seq),
        stage: /** @type {JobState["stage"]} */ (this.dataset.stage),
        status: this.dataset.status,
        pct: Number(this.dataset.pct),
        message: part(this, "message")?.textContent.trim() ?? "",
        url: this.dataset.url,
        warning: part(this, "warning")?.textContent.trim() ?? "",
      });
      this.#announced = step(this.#state.pct);
    }
    this.#render();
    if (!isTerminal(this.#state)) {
      this.#leave = subscriptions.watch(this.#watcher(), {
        sharedUrl: this.dataset.sharedSocket ?? "",
        shared: this.dataset.variant === "row",
      });
    }
  }

  disconnectedCallback() {
    this.#leave?.();
    this.#leave = null;
  }

  /**
   * The state as it is now, for scripts of the site; null before the element is connected.
   * @returns {JobState|null}
   */
  get state() {
    return this.#state.job ? this.#state : null;
  }

  /** @returns {import("./live/routes.js").Watcher} */
  #watcher() {
    const { job = "", socket = "", events = "", statusUrl = "" } = this.dataset;
    return {
      job,
      socketUrl: socket,
      eventsUrl: events,
      statusUrl,
      seq: () => this.#state.seq,
      ended: () => isTerminal(this.#state),
      frame: (frame) => this.#become(applyFrame(this.#state, frame)),
      snapshot: (snapshot) => this.#become(applySnapshot(this.#state, snapshot)),
      link: (state) => this.#showLink(state),
    };
  }

  /** @param {JobState} next */
  #become(next) {
    const before = this.#state;
    if (next === before) return;
    this.#state = next;
    this.#render();
    this.#announce();
    const detail = { detail: next, bubbles: true };
    this.dispatchEvent(new CustomEvent("denoise-job:change", detail));
    if (isTerminal(next) && !isTerminal(before)) {
      this.#showLink("live");
      this.dispatchEvent(new CustomEvent("denoise-job:end", detail));
      if (next.stage === "error") this.#askWhetherCanceled();
    }
  }

  /** A frame says `error` only; the page shows a canceled job differently. */
  async #askWhetherCanceled() {
    try {
      const { status, body } = await browser().fetchJson(this.dataset.statusUrl ?? "");
      if (status === 200) this.#become(applySnapshot(this.#state, body));
    } catch {
      // The message says it too; a reload shows the right label.
    }
  }

  #render() {
    const state = this.#state;
    Object.assign(this.dataset, {
      seq: String(state.seq),
      stage: state.stage,
      status: state.status,
      pct: String(state.pct),
      url: state.url,
    });
    const percent = percentText(state.pct);
    this.#write("badge", this.#texts.status?.[state.status]);
    this.#write("percent", percent);
    this.#write("message", state.message);
    const bar = part(this, "bar");
    if (bar) {
      bar.setAttribute("aria-valuenow", String(Math.round(state.pct)));
      bar.setAttribute("aria-valuetext", this.#progressText(percent));
      const progress = bar.querySelector("progress");
      if (progress) progress.value = state.pct;
    }
    for (const active of this.querySelectorAll('[data-part="active"]')) {
      /** @type {HTMLElement} */ (active).hidden = isTerminal(state);
    }
    if (isTerminal(state)) this.#showOutcome();
    this.#showWarning();
    this.#showTitle(percent);
  }

  /** @param {string} percent */
  #progressText(percent) {
    const { message } = this.#state;
    const pattern = message ? this.#texts.progress : this.#texts.percent;
    return fill(pattern ?? "{percent}", { percent, message });
  }

  /** @param {string} percent */
  #showTitle(percent) {
    const pattern = this.#texts.title?.[this.#state.stage];
    if (pattern) document.title = fill(pattern, { percent });
  }

  /**
   * The panels of both outcomes came with the page, as templates: no second request, no markup in
   * the script. May be repeated.
   */
  #showOutcome() {
    const { stage, url, status, message } = this.#state;
    const place = part(this, "outcome");
    if (!place) return;
    /** @type {HTMLTemplateElement|null} */
    const template = this.querySelector(`template[data-outcome="${stage}"]`);
    if (template && place.dataset.shown !== stage) {
      const focusWasInside = this.contains(document.activeElement);
      const panel = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
      if (stage === "done") setSource(panel, url);
      place.replaceChildren(panel);
      place.dataset.shown = stage;
      // The cancel button, which may have had the focus, is hidden by now.
      if (focusWasInside) part(place, "focus")?.focus();
    }
    // After the panel: a snapshot may say later that the error was a cancel.
    place.dataset.status = status;
    this.#write("reason", message);
  }

  #showWarning() {
    const note = part(this, "warning");
    if (!note) return;
    this.#write("warning", this.#state.warning);
    note.hidden = this.#state.warning === "";
  }

  /** @param {string} state `live`, `reconnecting` or `gone` */
  #showLink(state) {
    const note = part(this, "link");
    if (!note) return;
    const text = ["reconnecting", "gone"].includes(state) ? (this.#texts[state] ?? "") : "";
    note.textContent = text;
    note.hidden = text === "";
    this.dataset.link = state;
    if (state === "gone") this.#leave = null;
  }

  #announce() {
    const region = part(this, "announce");
    const state = this.#state;
    if (!region) return;
    if (isTerminal(state)) {
      const label = this.#texts.status?.[state.status] ?? "";
      const more = state.stage === "error" ? state.message : state.warning;
      const text = more ? `${label}: ${more}` : label;
      if (region.textContent !== text) region.textContent = text;
    } else if (step(state.pct) > this.#announced) {
      this.#announced = step(state.pct);
      region.textContent = this.#progressText(percentText(state.pct));
    }
  }

  /**
   * @param {string} name
   * @param {string|undefined} text
   */
  #write(name, text) {
    const target = part(this, name);
    if (target && text !== undefined && target.textContent.trim() !== text) target.textContent = text;
  }
}

/** @param {number} pct */
function step(pct) {
  return Math.floor(pct / ANNOUNCE_EVERY) * ANNOUNCE_EVERY;
}

/**
 * Results may lie elsewhere (STORE_RESULTS=False), and then the URL is text of the upstream.
 * @param {DocumentFragment} panel
 * @param {string} url
 */
function setSource(panel, url) {
  if (!url) return;
  const { protocol, href } = new URL(url, document.baseURI);
  if (protocol !== "https:" && protocol !== "http:") return;
  /** @type {HTMLAudioElement|null} */
  const audio = panel.querySelector('audio[data-source="denoised"]');
  if (audio) audio.src = href;
}
