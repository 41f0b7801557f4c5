/**
 * The plain time line: a range input. Has the interface of `Timeline`, which draws waveforms; what
 * it cannot do does nothing.
 */

import { clock, fill } from "../format.js";

export class RangeTimeline {
  #input;
  #onSeek;
  #duration = 0;
  /** @type {AbortController|null} */
  #listeners = null;

  /**
   * @param {HTMLInputElement} input of the type range
   * @param {{onSeek: (seconds: number) => void}} handlers
   */
  constructor(input, { onSeek }) {
    this.#input = input;
    this.#onSeek = onSeek;
  }

  connect() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.#input.addEventListener("input", () => this.#onSeek(Number(this.#input.value)), { signal });
  }

  disconnect() {
    this.#listeners?.abort();
  }

  /** @param {number} seconds */
  setDuration(seconds) {
    this.#duration = seconds;
    this.#input.max = String(seconds);
    this.#input.disabled = seconds === 0;
  }

  /** @param {number} seconds */
  setPosition(seconds) {
    const input = this.#input;
    input.value = String(seconds);
    const played = this.#duration ? (seconds / this.#duration) * 100 : 0;
    input.style.setProperty("--denoise-played", `${played}%`);
    const text = fill(input.dataset.text ?? "", { now: clock(seconds), total: clock(this.#duration) });
    if (input.getAttribute("aria-valuetext") !== text) input.setAttribute("aria-valuetext", text);
  }

  /** @param {string} _side */
  setSide(_side) {}

  zoomIn() {}
  zoomOut() {}
}
