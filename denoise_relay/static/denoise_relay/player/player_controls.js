/** The controls of a player: what people press goes to it, and what it says is shown. */

import { clock, fill, percentText } from "../format.js";
import { part } from "../parts.js";

/** @typedef {import("../denoise-player.js").DenoisePlayer} DenoisePlayer */
/** @typedef {import("./gains.js").Side} Side */

/**
 * A time line: a range input, or one with waveforms.
 * @typedef {Omit<import("./range_timeline.js").RangeTimeline, never>} Timeline
 */

export class PlayerControls {
  /** @type {import("./keys.js").Commands} */
  commands;
  #player;
  #timelines;
  #parts;
  /** @type {HTMLInputElement[]} */
  #radios;

  /**
   * @param {DenoisePlayer} player
   * @param {Timeline[]} timelines of which one is visible
   * @param {AbortSignal} signal ends the listening
   */
  constructor(player, timelines, signal) {
    this.#player = player;
    this.#timelines = timelines;
    const names = ["play", "now", "total", "mix", "share", "match", "help", "download-mix", "ask-help", "refused"];
    this.#parts = Object.fromEntries(names.map((name) => [name, part(player, name)]));
    const { play, mix, match, help } = this.#parts;
    this.#radios = [.../** @type {NodeListOf<HTMLInputElement>} */ (player.querySelectorAll("input[data-side]"))];
    const on = (/** @type {Element} */ target, /** @type {string} */ name, /** @type {() => void} */ handler) =>
      target.addEventListener(name, handler, { signal });

    const toggle = () => (player.playing ? player.pause() : player.play());
    const showHelp = () => help.open || help.showModal();
    on(play, "click", toggle);
    on(this.#parts["ask-help"], "click", showHelp);
    for (const radio of this.#radios) {
      on(radio, "change", () => (player.side = /** @type {Side} */ (radio.dataset.side)));
    }
    on(mix, "input", () => {
      player.mix = mix.value / 100;
      player.side = "mix";
    });
    on(match, "change", () => (player.levelMatched = match.checked));
    this.commands = {
      toggle,
      help: showHelp,
      step: (seconds) => player.seek(player.position + seconds),
      jump: (end) => player.seek(end * player.duration),
      select: (side) => (player.side = side),
      swap: () => (player.side = player.side === "original" ? "denoised" : "original"),
      zoomIn: () => this.#each((timeline) => timeline.zoomIn()),
      zoomOut: () => this.#each((timeline) => timeline.zoomOut()),
    };
    this.#each((timeline) => timeline.connect());
  }

  close() {
    this.#each((timeline) => timeline.disconnect());
    this.#parts.help.close();
  }

  /** Everything; cheap where nothing has changed. */
  render() {
    const player = this.#player;
    const { side, mix, playing, sides } = player;
    player.dataset.side = side;
    for (const radio of this.#radios) {
      check(radio, radio.dataset.side === side);
      radio.disabled = !sides.includes(/** @type {Side} */ (radio.dataset.side)) || sides.length === 1;
    }
    this.#renderMix(mix, sides.includes("mix"));
    const { play, match, refused, total } = this.#parts;
    check(match, player.levelMatched);
    match.disabled = !player.matchable;
    play.dataset.playing = String(playing);
    play.setAttribute("aria-label", playing ? play.dataset.pause : play.dataset.play);
    if (playing) refused.hidden = true;
    this.#each((timeline) => {
      timeline.setSide(side);
      timeline.setDuration(player.duration);
    });
    total.textContent = clock(player.duration);
    this.renderPosition();
  }

  /**
   * @param {number} share 0-1
   * @param {boolean} possible
   */
  #renderMix(share, possible) {
    const { mix, "download-mix": download } = this.#parts;
    mix.disabled = !possible;
    if (!possible) return;
    const text = percentText(share * 100 + 0.001);
    mix.value = String(Math.round(share * 100));
    mix.style.setProperty("--denoise-played", `${mix.value}%`);
    mix.setAttribute("aria-valuetext", fill(mix.dataset.text, { share: text }));
    this.#parts.share.textContent = text;
    download.href = `${download.dataset.href}?format=flac&mix=${share.toFixed(2)}`;
  }

  /** What moves while it plays. */
  renderPosition() {
    const { position } = this.#player;
    this.#each((timeline) => timeline.setPosition(position));
    const now = clock(position);
    if (this.#parts.now.textContent !== now) this.#parts.now.textContent = now;
  }

  /** @param {(timeline: Timeline) => void} action */
  #each(action) {
    this.#timelines.forEach(action);
  }
}

/**
 * The attribute, too: some readers of pages look at nothing else.
 * @param {HTMLInputElement} input
 * @param {boolean} checked
 */
function check(input, checked) {
  input.defaultChecked = checked;
  input.checked = checked;
}
