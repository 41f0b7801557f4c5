/**
 * `<denoise-player>`: four things to hear of one recording, at one place: the original, the clean
 * recording, what was removed, and a mix.
 *
 * `data-mode` says what there is: `instrument`, a comparison file and what was measured of it;
 * `waiting`, when that may come within two minutes; `plain`, when it does not. Until it is there,
 * or without Web Audio, two media elements side by side are compared. Without this script the two
 * native players stay as they are. `data-ready` is there once it can be played.
 *
 * For scripts: the properties `side`, `mix`, `position`, `duration`, `playing`, `levelMatched` and
 * `output`; the methods `play`, `pause` and `seek`; the event `denoise-player:change`.
 */

import { part } from "./parts.js";
import { ComparisonPlayback } from "./player/comparison_playback.js";
import { commandOf } from "./player/keys.js";
import { claim, leave, update } from "./player/media_session.js";
import { PlaybackChoice } from "./player/playback_choice.js";
import { PlayerControls } from "./player/player_controls.js";
import { RangeTimeline } from "./player/range_timeline.js";
import { Timeline } from "./player/timeline.js";
import { loadWaveform } from "./player/waveform_data.js";

/** @typedef {import("./player/gains.js").Side} Side */

/**
 * All players of the page. Keys go to the one that was used last.
 * @type {Set<DenoisePlayer>}
 */
const players = new Set();
/** @type {DenoisePlayer|null} */
let lastUsed = null;

export class DenoisePlayer extends HTMLElement {
  /** @type {PlaybackChoice|null} */
  #choice = null;
  /** Events of the page and the controls. @type {AbortController|null} */
  #listeners = null;
  /** @type {PlayerControls|null} */
  #controls = null;
  /** @type {Timeline|null} */
  #timeline = null;
  /** How many waveforms have been asked for. */
  #waveforms = 0;
  #frame = 0;

  connectedCallback() {
    if (this.#listeners !== null || this.querySelectorAll("audio").length < 2) return;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    players.add(this);
    this.dataset.enhanced = "";
    const handlers = { onSeek: (/** @type {number} */ seconds) => this.seek(seconds) };
    const waveform = part(this, "waveform");
    this.#timeline = waveform && new Timeline(waveform, handlers);
    const timelines = [new RangeTimeline(part(this, "seek"), handlers), ...(this.#timeline ? [this.#timeline] : [])];
    this.#controls = new PlayerControls(this, timelines, signal);
    for (const name of ["pointerdown", "focusin"]) {
      this.addEventListener(name, () => this.#use(), { signal });
    }
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#choice = new PlaybackChoice(this, (event) => this.#changed(event));
    this.#choice.begin();
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
    this.#controls?.close();
    this.#choice?.close();
    this.#choice = null;
    cancelAnimationFrame(this.#frame);
    leave(this);
    players.delete(this);
    if (lastUsed === this) lastUsed = null;
  }

  // For scripts

  /** What is heard. A side that there is not is left alone. @type {Side} */
  get side() {
    return this.#current?.side ?? "denoised";
  }

  set side(side) {
    if (!this.sides.includes(side) || side === this.side) return;
    this.#current?.switchTo(/** @type {any} */ (side));
    this.#changed();
  }

  /** What there is to be heard. @returns {Side[]} */
  get sides() {
    return this.#current?.sides ?? [];
  }

  /** The clean recording's share of the mix, 0-1. */
  get mix() {
    return this.#comparison?.mix ?? 1;
  }

  set mix(value) {
    if (!this.#comparison) return;
    this.#comparison.mix = value;
    this.#changed();
  }

  /** Whether the louder versions are turned down to the softer one. */
  get levelMatched() {
    return this.#comparison?.levelMatched ?? false;
  }

  set levelMatched(value) {
    if (!this.#comparison) return;
    this.#comparison.levelMatched = value;
    this.#changed();
  }

  /** Whether that is possible. */
  get matchable() {
    return this.#comparison?.matchable ?? false;
  }

  /** Seconds. */
  get position() {
    return this.#current?.position ?? 0;
  }

  /** Seconds; 0 until known. */
  get duration() {
    return this.#current?.duration ?? 0;
  }

  get playing() {
    return this.#current?.playing ?? false;
  }

  /** The last AudioNode before the destination; null before the first play, and in plain mode. */
  get output() {
    return this.#comparison?.output ?? null;
  }

  /** @returns {Promise<void>} resolves also if the browser refuses: the page says so */
  async play() {
    for (const player of players) if (player !== this) player.pause();
    const playback = this.#current;
    if (!playback) return;
    const playing = playback.play();
    claim(this, this.dataset.name ?? "");
    this.#changed();
    try {
      await playing;
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      // Pausing while the browser is still starting is no failure.
      if (name === "AbortError" || this.#current !== playback) return;
      if (name === "NotAllowedError" || !this.#comparison) part(this, "refused").hidden = false;
      else this.#choice?.giveUp(true);
    }
    this.#changed();
  }

  pause() {
    if (!this.playing) return;
    this.#current?.pause();
    this.#changed();
  }

  /** @param {number} seconds is clamped to the recording */
  seek(seconds) {
    this.#current?.seek(seconds);
    this.#changed();
  }

  get #comparison() {
    const playback = this.#current;
    return playback instanceof ComparisonPlayback ? playback : null;
  }

  get #current() {
    return this.#choice?.current ?? null;
  }

  // What people do

  #use() {
    lastUsed = this;
    const audio = this.#comparison?.elements[0];
    // So that it begins at once.
    if (audio) audio.preload = "auto";
  }

  /** @param {KeyboardEvent} event wherever the focus is, unless it is on something else */
  #key(event) {
    const target = event.target instanceof Element ? event.target : null;
    const nowhere = target === document.body && (lastUsed ?? players.values().next().value) === this;
    if (!nowhere && !this.contains(target)) return;
    const command = this.#controls && commandOf(event, this.#controls.commands);
    if (!command) return;
    event.preventDefault();
    command();
  }

  /** @param {string} [event] of a media element; otherwise somebody did something */
  #changed(event) {
    this.#current?.tick();
    if (this.#choice?.takeOver()) return;
    this.#controls?.render();
    this.#draw();
    if (this.playing && this.#frame === 0) this.#frame = requestAnimationFrame(this.#move);
    update(this);
    if (event === "timeupdate") return;
    const { side, mix, position, playing, levelMatched } = this;
    const detail = { side, mix, position, playing, levelMatched };
    this.dispatchEvent(new CustomEvent("denoise-player:change", { bubbles: true, detail }));
  }

  /** Load what the time line shows, as soon as it can be there. */
  async #draw() {
    const { mode, early, waveformOriginal = "", waveformDenoised = "" } = this.dataset;
    const count = mode === "instrument" ? 2 : mode === "waiting" && early !== undefined ? 1 : 0;
    if (!this.#timeline || count <= this.#waveforms) return;
    this.#waveforms = count;
    if (count === 2) this.#timeline.showSpectrograms();
    const urls = [waveformOriginal, waveformDenoised].slice(0, count);
    const [original, denoised = null] = await Promise.all(urls.map(loadWaveform));
    if (count === this.#waveforms) this.#timeline?.setWaveforms(original, denoised);
  }

  /** The position, smoothly. */
  #move = () => {
    this.#controls?.renderPosition();
    this.#frame = this.playing ? requestAnimationFrame(this.#move) : 0;
  };
}
