/**
 * `<denoise-job>`: takes over what the server rendered, and keeps it true.
 *
 * The server's HTML is complete by itself; this finds its pieces by `data-part` and changes
 * only text and attributes. All words come with the element (`data-texts`), none live here.
 */

import { browser } from "./browser.js";
import { applyFrame, applySnapshot, initialState, isTerminal } from "./state.js";
import { fill, percentText } from "./words.js";
import { watchers } from "./watch.js";

/** Progress is announced when it passes one of these: every percent would be noise. */
const ANNOUNCE_EVERY = 25;

export class DenoiseJob extends HTMLElement {
  #state = null;
  #texts = {};
  #leave = null;
  #announced = 0;

  connectedCallback() {
    if (this.#leave !== null || !this.dataset.job) return;
    if (this.#state?.job !== this.dataset.job) {
      this.#texts = JSON.parse(this.dataset.texts ?? "{}");
      this.#state = initialState({
        job: this.dataset.job,
        seq: Number(this.dataset.seq),
        stage: this.dataset.stage,
        status: this.dataset.status,
        pct: Number(this.dataset.pct),
        message: this.#part("message")?.textContent.trim() ?? "",
        url: this.dataset.url,
      });
      this.#announced = step(this.#state.pct);
    }
    this.#render();
    if (!isTerminal(this.#state)) {
      this.#leave = watchers.watch(this.#watcher(), {
        sharedUrl: this.dataset.sharedSocket,
        shared: this.dataset.variant === "row",
      });
    }
  }

  disconnectedCallback() {
    this.#leave?.();
    this.#leave = null;
  }

  /** The state in force, for scripts of the site. */
  get state() {
    return this.#state;
  }

  #watcher() {
    return {
      job: this.dataset.job,
      socketUrl: this.dataset.socket,
      eventsUrl: this.dataset.events,
      statusUrl: this.dataset.statusUrl,
      seq: () => this.#state.seq,
      ended: () => isTerminal(this.#state),
      frame: (frame) => this.#become(applyFrame(this.#state, frame)),
      snapshot: (snapshot) => this.#become(applySnapshot(this.#state, snapshot)),
      link: (state) => this.#showLink(state),
    };
  }

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

  /** Frames tell `error` only; the page words a cancel differently. */
  async #askWhetherCanceled() {
    try {
      const { status, body } = await browser().fetchJson(this.dataset.statusUrl);
      if (status === 200) this.#become(applySnapshot(this.#state, body));
    } catch {
      // The message says it too; the finer label can wait for a reload.
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
    const bar = this.#part("bar");
    if (bar) {
      bar.setAttribute("aria-valuenow", String(Math.round(state.pct)));
      bar.setAttribute("aria-valuetext", this.#progressText(percent));
      const meter = bar.querySelector("progress");
      if (meter) meter.value = state.pct;
    }
    for (const part of this.querySelectorAll('[data-part="active"]')) {
      part.hidden = isTerminal(state);
    }
    if (isTerminal(state)) this.#showOutcome();
    this.#title(percent);
  }

  #progressText(percent) {
    const { message } = this.#state;
    const words = message ? this.#texts.progress : this.#texts.percent;
    return fill(words ?? "{percent}", { percent, message });
  }

  #title(percent) {
    const words = this.#texts.title?.[this.#state.stage];
    if (words) document.title = fill(words, { percent });
  }

  /** The panels of both endings came with the page, as templates: no second request, no markup
   * in the script. Doing it twice is harmless. */
  #showOutcome() {
    const { stage, url, status, message } = this.#state;
    const place = this.#part("outcome");
    if (!place) return;
    const template = this.querySelector(`template[data-outcome="${stage}"]`);
    if (template && place.dataset.shown !== stage) {
      const focusWasInside = this.contains(document.activeElement);
      const panel = template.content.cloneNode(true);
      if (stage === "done") pointTo(panel, url);
      place.replaceChildren(panel);
      place.dataset.shown = stage;
      // The cancel button, which may have had the focus, is hidden by now.
      if (focusWasInside) place.querySelector('[data-part="focus"]')?.focus();
    }
    // Later than the panel: a snapshot may tell that the error was a cancel.
    place.dataset.status = status;
    this.#write("reason", message);
  }

  #showLink(state) {
    const note = this.#part("link");
    if (!note) return;
    const words = { reconnecting: this.#texts.reconnecting, gone: this.#texts.gone }[state] ?? "";
    note.textContent = words;
    note.hidden = words === "";
    this.dataset.link = state;
    if (state === "gone") this.#leave = null;
  }

  #announce() {
    const region = this.#part("announce");
    const state = this.#state;
    if (!region) return;
    if (isTerminal(state)) {
      const label = this.#texts.status?.[state.status] ?? "";
      const words = state.message && state.stage === "error" ? `${label}: ${state.message}` : label;
      if (region.textContent !== words) region.textContent = words;
    } else if (step(state.pct) > this.#announced) {
      this.#announced = step(state.pct);
      region.textContent = this.#progressText(percentText(state.pct));
    }
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  #write(name, words) {
    const part = this.#part(name);
    if (part && words !== undefined && part.textContent.trim() !== words) part.textContent = words;
  }
}

function step(pct) {
  return Math.floor(pct / ANNOUNCE_EVERY) * ANNOUNCE_EVERY;
}

/** Results may lie elsewhere (STORE_RESULTS=False), and then the address is upstream's text. */
function pointTo(panel, url) {
  if (!url) return;
  const { protocol, href } = new URL(url, document.baseURI);
  if (protocol !== "https:" && protocol !== "http:") return;
  panel.querySelector('audio[data-source="denoised"]').src = href;
}
