/**
 * `<denoise-player>`: one set of controls over the original and the clean recording.
 *
 * Without this script the two native players inside stay as they are.
 */

import { clock, fill } from "./format.js";
import { part } from "./parts.js";
import { ABPlayback } from "./player/ab_playback.js";

/** @typedef {import("./player/ab_playback.js").Side} Side */

const STEP_SECONDS = 5;

/**
 * All players of the page. Keys go to the one that was used last.
 * @type {Set<DenoisePlayer>}
 */
const players = new Set();
/** @type {DenoisePlayer|null} */
let lastUsed = null;

export class DenoisePlayer extends HTMLElement {
  /** @type {ABPlayback|null} */
  #connected = null;
  /** @type {AbortController|null} */
  #listeners = null;
  #dragging = false;

  connectedCallback() {
    /** @type {HTMLAudioElement|null} */
    const original = this.querySelector('audio[data-source="original"]');
    /** @type {HTMLAudioElement|null} */
    const denoised = this.querySelector('audio[data-source="denoised"]');
    if (!original || !denoised || this.#listeners !== null) return;
    this.#connected = new ABPlayback({ original, denoised });
    this.#listeners = new AbortController();
    players.add(this);
    this.dataset.enhanced = "";
    part(this, "deck").hidden = false;
    for (const audio of [original, denoised]) {
      audio.controls = false;
      this.#on(audio, ["timeupdate", "seeked", "durationchange", "play", "pause", "ended"], () => {
        this.#playback.tick();
        this.#render();
      });
      this.#on(audio, ["error"], () => this.#markBroken(audio));
      // The error may have come before this script did. (`canPlayType` says no to containers
      // that do play, Matroska for one.)
      if (audio.error || audio.dataset.broken !== undefined) this.#markBroken(audio);
    }
    const seek = part(this, "seek");
    this.#on(part(this, "play"), ["click"], () => this.#toggle());
    this.#on(part(this, "switch"), ["click"], () => this.#switch());
    this.#on(seek, ["input"], () => {
      this.#dragging = true;
      this.#playback.seek(Number(seek.value));
      this.#render();
    });
    this.#on(seek, ["change"], () => {
      this.#dragging = false;
    });
    this.#on(this, ["pointerdown", "focusin"], () => {
      lastUsed = this;
    });
    this.#on(document, ["keydown"], (event) => this.#key(event));
    this.#render();
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
    this.#connected?.pause();
    players.delete(this);
    if (lastUsed === this) lastUsed = null;
  }

  /** The playback, which every caller has: events are listened to while connected only. */
  get #playback() {
    return /** @type {ABPlayback} */ (this.#connected);
  }

  /**
   * @param {EventTarget} target
   * @param {string[]} names
   * @param {(event: any) => void} handler
   */
  #on(target, names, handler) {
    const signal = this.#listeners?.signal;
    for (const name of names) target.addEventListener(name, handler, { signal });
  }

  async #toggle() {
    for (const player of players) if (player !== this) player.#connected?.pause();
    try {
      await this.#playback.toggle();
    } catch (error) {
      // Pausing while the browser is still starting is no failure.
      if (!(error instanceof DOMException && error.name === "AbortError")) part(this, "refused").hidden = false;
    }
    this.#render();
  }

  #switch() {
    this.#playback.switch();
    this.#render();
  }

  /** @param {HTMLAudioElement} audio */
  #markBroken(audio) {
    this.#playback.markBroken(/** @type {Side} */ (audio.dataset.source));
    for (const note of this.querySelectorAll(`[data-unplayable="${audio.dataset.source}"]`)) {
      /** @type {HTMLElement} */ (note).hidden = false;
    }
    this.#render();
  }

  /**
   * Space, arrows and B, wherever the focus is, unless it is on something that uses them itself.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : null;
    const here = this.contains(target);
    const nowhere = target === document.body && (lastUsed ?? first(players)) === this;
    if (!here && !nowhere) return;
    const onButton = here && target !== null && target.closest("button, a, summary") !== null;
    /** @type {Record<string, (() => void)|null>} */
    const actions = {
      " ": onButton ? null : () => this.#toggle(),
      ArrowLeft: () => this.#step(-STEP_SECONDS),
      ArrowRight: () => this.#step(STEP_SECONDS),
      b: () => this.#switch(),
      B: () => this.#switch(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** @param {number} seconds */
  #step(seconds) {
    this.#playback.seek(this.#playback.position + seconds);
    this.#render();
  }

  #render() {
    const playback = this.#playback;
    const { position, duration } = playback;
    const seek = part(this, "seek");
    seek.max = String(duration);
    if (!this.#dragging) seek.value = String(position);
    seek.disabled = duration === 0;
    seek.style.setProperty("--denoise-played", duration ? `${(position / duration) * 100}%` : "0%");
    const now = clock(position);
    const total = clock(duration);
    seek.setAttribute("aria-valuetext", fill(seek.dataset.text, { now, total }));
    part(this, "now").textContent = now;
    part(this, "total").textContent = total;
    const play = part(this, "play");
    play.dataset.playing = String(playback.playing);
    play.setAttribute("aria-label", playback.playing ? play.dataset.pause : play.dataset.play);
    const toggle = part(this, "switch");
    toggle.setAttribute("aria-pressed", String(playback.side === "denoised"));
    toggle.disabled = !playback.canSwitch();
    this.dataset.side = playback.side;
  }
}

/**
 * @template T
 * @param {Set<T>} set
 */
function first(set) {
  return set.values().next().value;
}
