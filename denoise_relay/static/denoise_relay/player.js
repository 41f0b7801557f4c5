/**
 * `<denoise-player>`: one set of controls over the original and the clean recording.
 *
 * Without this script the two native players inside stay as they are.
 */

import { Deck } from "./deck.js";
import { clock, fill } from "./words.js";

const STEP_SECONDS = 5;

/** All on the page: the keyboard belongs to the one that was used last. */
const players = new Set();
let lastUsed = null;

export class DenoisePlayer extends HTMLElement {
  #deck = null;
  #listeners = null;
  #dragging = false;

  connectedCallback() {
    const original = this.querySelector('audio[data-source="original"]');
    const denoised = this.querySelector('audio[data-source="denoised"]');
    if (!original || !denoised || this.#listeners !== null) return;
    this.#deck = new Deck({ original, denoised });
    this.#listeners = new AbortController();
    players.add(this);
    this.dataset.enhanced = "";
    this.#part("deck").hidden = false;
    for (const audio of [original, denoised]) {
      audio.controls = false;
      this.#on(audio, ["timeupdate", "seeked", "durationchange", "play", "pause", "ended"], () => {
        this.#deck.tick();
        this.#render();
      });
      this.#on(audio, ["error"], () => this.#markBroken(audio));
      // The error may have come before this script did. (`canPlayType` says no to containers
      // that do play, Matroska for one.)
      if (audio.error || audio.dataset.broken !== undefined) this.#markBroken(audio);
    }
    const seek = this.#part("seek");
    this.#on(this.#part("play"), ["click"], () => this.#toggle());
    this.#on(this.#part("switch"), ["click"], () => this.#switch());
    this.#on(seek, ["input"], () => {
      this.#dragging = true;
      this.#deck.seek(Number(seek.value));
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
    this.#deck?.pause();
    players.delete(this);
    if (lastUsed === this) lastUsed = null;
  }

  #on(target, names, handler) {
    const { signal } = this.#listeners;
    for (const name of names) target.addEventListener(name, handler, { signal });
  }

  async #toggle() {
    for (const player of players) if (player !== this) player.#deck?.pause();
    try {
      await this.#deck.toggle();
    } catch (error) {
      // Pausing while the browser is still starting is no failure.
      if (error.name !== "AbortError") this.#part("refused").hidden = false;
    }
    this.#render();
  }

  #switch() {
    this.#deck.switch();
    this.#render();
  }

  #markBroken(audio) {
    this.#deck.markBroken(audio.dataset.source);
    for (const note of this.querySelectorAll(`[data-unplayable="${audio.dataset.source}"]`)) {
      note.hidden = false;
    }
    this.#render();
  }

  /** Space, arrows and B, wherever the focus is, unless it is on something that wants them. */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = this.contains(event.target);
    const nowhere = event.target === document.body && (lastUsed ?? first(players)) === this;
    if (!here && !nowhere) return;
    const onButton = event.target.closest?.("button, a, summary") !== null && here;
    const action = {
      " ": onButton ? null : () => this.#toggle(),
      ArrowLeft: () => this.#step(-STEP_SECONDS),
      ArrowRight: () => this.#step(STEP_SECONDS),
      b: () => this.#switch(),
      B: () => this.#switch(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #step(seconds) {
    this.#deck.seek(this.#deck.position + seconds);
    this.#render();
  }

  #render() {
    const deck = this.#deck;
    const { position, duration } = deck;
    const seek = this.#part("seek");
    seek.max = String(duration);
    if (!this.#dragging) seek.value = String(position);
    seek.disabled = duration === 0;
    seek.style.setProperty("--denoise-played", duration ? `${(position / duration) * 100}%` : "0%");
    const now = clock(position);
    const total = clock(duration);
    seek.setAttribute("aria-valuetext", fill(seek.dataset.text, { now, total }));
    this.#part("now").textContent = now;
    this.#part("total").textContent = total;
    const play = this.#part("play");
    play.dataset.playing = String(deck.playing);
    play.setAttribute("aria-label", deck.playing ? play.dataset.pause : play.dataset.play);
    const toggle = this.#part("switch");
    toggle.setAttribute("aria-pressed", String(deck.side === "denoised"));
    toggle.disabled = !deck.canSwitch();
    this.dataset.side = deck.side;
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }
}

function first(set) {
  return set.values().next().value;
}
