/** Which playback a player has: the comparison file where there is one, else two media elements. */

import { ABPlayback } from "./ab_playback.js";
import { hasWebAudio } from "./audio_context.js";
import { ComparisonPlayback } from "./comparison_playback.js";
import { channelsOf } from "./flac_header.js";
import { showNumbers } from "./numbers.js";
import { levelsOf, loadStatistics, RETRIES_MS, WAITS_MS } from "./statistics.js";

/** @typedef {import("../denoise-player.js").DenoisePlayer} DenoisePlayer */
/** @typedef {import("./statistics.js").Statistics} Statistics */

const MEDIA_EVENTS = ["timeupdate", "seeked", "durationchange", "play", "pause", "ended"];

export class PlaybackChoice {
  /** @type {ABPlayback|ComparisonPlayback|null} */
  current = null;
  #player;
  #changed;
  #closed = new AbortController();
  /** Ends the listening to the elements that play. */
  #listening = new AbortController();
  /** What takes over at the next pause. @type {(() => ComparisonPlayback)|null} */
  #next = null;

  /**
   * @param {DenoisePlayer} player its `data-mode` is what the server expects
   * @param {(event?: string) => void} changed is called with each event of a media element, and
   *   after changes of our own
   */
  constructor(player, changed) {
    this.#player = player;
    this.#changed = changed;
  }

  async begin() {
    const { dataset } = this.#player;
    const { statistics: url = "", comparison } = dataset;
    if (!hasWebAudio || !comparison || !url || this.#elsewhere()) dataset.mode = "plain";
    if (dataset.mode === "plain") return this.#adopt(this.#pair());
    const wanted = () => !this.#closed.signal.aborted && dataset.mode !== "plain";
    const waits = dataset.mode === "waiting" ? WAITS_MS : RETRIES_MS;
    const loading = loadStatistics(url, { wanted, waits });
    if (dataset.mode === "instrument") this.#adopt(this.#comparison(this.#prepare(loading)));
    else this.#adopt(this.#pair());
    try {
      const statistics = await loading;
      if (dataset.mode === "waiting") {
        const prepared = await this.#prepare(loading);
        this.#next = () => this.#comparison(Promise.resolve(prepared));
      }
      if (!wanted()) return;
      if (statistics) showNumbers(this.#player, statistics);
      this.#changed();
    } catch {
      if (wanted()) this.giveUp(false);
    }
  }

  /** Let the comparison file take over if it has come, unless something plays. */
  takeOver() {
    if (!this.#next || this.current?.playing) return false;
    this.#adopt(this.#next());
    return true;
  }

  /**
   * There is no comparison, or it cannot be played.
   * @param {boolean} playing whether the other way goes on
   */
  giveUp(playing) {
    this.#player.dataset.mode = "plain";
    this.#next = null;
    const comparison = this.current;
    if (comparison instanceof ComparisonPlayback) {
      this.#adopt(this.#pair());
      if (playing) this.#player.play();
    }
    this.#changed();
  }

  close() {
    this.#closed.abort();
    this.#listening.abort();
    this.current?.close();
  }

  /** Whether the clean recording stayed with an upstream: then nothing was measured here. */
  #elsewhere() {
    const audio = this.#audio("denoised");
    return new URL(audio.src, document.baseURI).origin !== location.origin;
  }

  /**
   * @param {string} source
   * @returns {HTMLAudioElement}
   */
  #audio(source) {
    return /** @type {any} */ (this.#player.querySelector(`audio[data-source="${source}"]`));
  }

  /** @param {Promise<Statistics|null>} loading */
  async #prepare(loading) {
    const { comparison = "" } = this.#player.dataset;
    const statistics = await loading;
    if (!statistics) throw new Error("Nothing was measured.");
    return { channels: await channelsOf(comparison, this.#closed.signal), levels: levelsOf(statistics) };
  }

  /** @param {Promise<import("./comparison_playback.js").Prepared>} prepared */
  #comparison(prepared) {
    const { comparison = "", duration } = this.#player.dataset;
    const audio = document.createElement("audio");
    audio.dataset.source = "comparison";
    // A storage elsewhere has to allow it: otherwise, there would be silence instead of an error.
    audio.crossOrigin = "anonymous";
    audio.preload = "metadata";
    audio.src = comparison;
    this.#player.append(audio);
    const playback = new ComparisonPlayback(audio, prepared, Number(duration) || 0);
    const failed = () => {
      if (this.current === playback && !this.#closed.signal.aborted) this.giveUp(playback.playing);
    };
    audio.addEventListener("error", failed);
    prepared.then(() => {
      this.#player.dataset.ready = "";
      // The levels are known now: they can be matched.
      this.#changed();
    }, failed);
    return playback;
  }

  #pair() {
    const [original, denoised] = ["original", "denoised"].map((source) => this.#audio(source));
    for (const audio of [original, denoised]) {
      audio.controls = false;
      audio.preload = "metadata";
    }
    return new ABPlayback({ original, denoised });
  }

  /**
   * Go on where the other one is.
   * @param {ABPlayback|ComparisonPlayback} playback
   */
  #adopt(playback) {
    const { position, side } = this.#player;
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.current?.close();
    this.current = playback;
    this.#next = null;
    if (playback instanceof ComparisonPlayback) this.#player.dataset.mode = "instrument";
    else this.#player.dataset.ready = "";
    for (const audio of playback.elements) {
      for (const name of MEDIA_EVENTS) audio.addEventListener(name, () => this.#changed(name), { signal });
      if (playback instanceof ABPlayback) this.#watch(playback, audio, signal);
    }
    if (position > 0) playback.seek(position);
    if (playback.sides.includes(/** @type {any} */ (side))) playback.switchTo(/** @type {any} */ (side));
    this.#changed();
  }

  /**
   * Leave a side out that the browser cannot play.
   * @param {ABPlayback} playback
   * @param {HTMLMediaElement} audio
   * @param {AbortSignal} signal
   */
  #watch(playback, audio, signal) {
    const source = /** @type {"original"|"denoised"} */ (audio.dataset.source);
    const broken = () => {
      playback.markBroken(source);
      for (const note of this.#player.querySelectorAll(`[data-unplayable="${source}"]`)) {
        /** @type {HTMLElement} */ (note).hidden = false;
      }
      this.#changed();
    };
    audio.addEventListener("error", broken, { signal });
    // The error may have come before this script did. (`canPlayType` says no to containers that
    // do play, Matroska for one.)
    if (audio.error || audio.dataset.broken !== undefined) broken();
  }
}
