/**
 * `<denoise-comparison>`: one trial of a blind comparison. Loads the recordings, matches their
 * levels, plays them in step, and lets people answer when they have heard what they judge.
 */

import { Deck } from "./comparison/deck.js";
import { load } from "./comparison/load.js";
import { RATE } from "./comparison/levels.js";
import { clock, fill } from "./format.js";
import { part } from "./parts.js";

const STEP_SECONDS = 5;
const TICK_MS = 100;

export class DenoiseComparison extends HTMLElement {
  /** @type {Deck|null} */
  #deck = null;
  /** @type {AbortController|null} */
  #listeners = null;
  /** @type {number|undefined} */
  #ticking;
  #readyAt = 0;
  /**
   * Sides that have been audible while playing.
   * @type {Set<string>}
   */
  #heard = new Set();

  connectedCallback() {
    if (this.#listeners !== null) return;
    this.#listeners = new AbortController();
    this.#load();
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
    window.clearInterval(this.#ticking);
    this.#deck?.close();
    this.#deck = null;
  }

  async #load() {
    const urls = new Map(this.#buttons.map((it) => [it.dataset.side ?? "", it.dataset.url ?? ""]));
    try {
      const recordings = await load(urls);
      if (this.#listeners === null) return; // removed in the meantime
      this.#deck = new Deck(recordings, "a", () => new AudioContext({ sampleRate: RATE }));
      for (const button of this.#buttons) button.disabled = !recordings.has(button.dataset.side ?? "");
      part(this, "undecodable").hidden = recordings.has("o");
    } catch (error) {
      console.info("The recordings cannot be compared:", error);
      part(this, "loading").hidden = true;
      part(this, "broken").hidden = false;
      return;
    }
    part(this, "loading").hidden = true;
    part(this, "deck").hidden = false;
    this.#readyAt = performance.now();
    this.#listen();
    this.#ticking = window.setInterval(() => this.#tick(), TICK_MS);
    this.#say(part(this, "loading").dataset.ready);
    this.#render();
  }

  /** @returns {HTMLButtonElement[]} of the sides */
  get #buttons() {
    return [...this.querySelectorAll("button")].filter((it) => it.dataset.side !== undefined);
  }

  #listen() {
    const signal = this.#listeners?.signal;
    for (const button of this.#buttons) {
      button.addEventListener("click", () => this.#switchTo(button.dataset.side ?? ""), { signal });
    }
    const seek = part(this, "seek");
    part(this, "play").addEventListener("click", () => this.#toggle(), { signal });
    seek.addEventListener("input", () => this.#seek(Number(seek.value)), { signal });
    part(this, "form").addEventListener("submit", () => this.#submit(), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  async #toggle() {
    try {
      await this.#deck?.toggle();
      part(this, "refused").hidden = true;
    } catch {
      part(this, "refused").hidden = false;
    }
    this.#tick();
  }

  /** @param {string} side */
  #switchTo(side) {
    this.#deck?.switchTo(side);
    const pressed = this.#buttons.find((it) => it.dataset.side === this.#deck?.side);
    this.#say(pressed?.textContent?.trim());
    this.#tick();
  }

  /** @param {number} seconds */
  #seek(seconds) {
    this.#deck?.seek(seconds);
    this.#tick();
  }

  #submit() {
    part(this, "milliseconds").value = String(Math.round(performance.now() - this.#readyAt));
    this.#deck?.pause();
  }

  /**
   * The sides' letters, space and arrows, wherever the focus is, unless it is on something that
   * uses them itself.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target !== document.body && !this.contains(target)) return;
    const onButton = target !== null && target.closest("button, a, summary") !== null;
    const position = this.#deck?.position ?? 0;
    /** @type {Record<string, (() => void)|null>} */
    const actions = {
      " ": onButton ? null : () => this.#toggle(),
      arrowleft: () => this.#seek(position - STEP_SECONDS),
      arrowright: () => this.#seek(position + STEP_SECONDS),
    };
    for (const { dataset, disabled } of this.#buttons) {
      if (dataset.side && !disabled) actions[dataset.side] = () => this.#switchTo(dataset.side ?? "");
    }
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #tick() {
    const deck = this.#deck;
    if (deck === null) return;
    deck.tick();
    if (deck.playing) this.#heard.add(deck.side);
    this.#render();
  }

  #render() {
    const deck = this.#deck;
    if (deck === null) return;
    const now = clock(deck.position);
    const total = clock(deck.duration);
    const seek = part(this, "seek");
    seek.max = String(deck.duration);
    seek.value = String(deck.position);
    seek.style.setProperty("--denoise-played", `${(100 * deck.position) / (deck.duration || 1)}%`);
    seek.setAttribute("aria-valuetext", fill(seek.dataset.text, { now, total }));
    part(this, "now").textContent = now;
    part(this, "total").textContent = total;
    const play = part(this, "play");
    play.dataset.playing = String(deck.playing);
    play.setAttribute("aria-label", deck.playing ? play.dataset.pause : play.dataset.play);
    for (const button of this.#buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.side === deck.side));
    }
    this.#unlock();
  }

  /** Answers can be given when all sides but the original have been heard. */
  #unlock() {
    const heard = this.#buttons.every(({ dataset }) => dataset.side === "o" || this.#heard.has(dataset.side ?? ""));
    const answers = part(this, "answers");
    if (!heard || !answers.disabled) return;
    answers.disabled = false;
    part(this, "hint").textContent = part(this, "hint").dataset.ready;
  }

  /**
   * For people who do not see the page.
   * @param {string|undefined} text
   */
  #say(text) {
    part(this, "live").textContent = text ?? "";
  }
}
