/**
 * The way of the sound. One media element plays a file that has both versions as channels, so that
 * they cannot run apart:
 *
 *     media ─▶ splitter ─▶ gain of the original ─┐
 *                      └─▶ gain of the clean one ─┴─▶ output ─▶ destination
 */

import { Crossfade } from "./crossfade.js";

/** @typedef {import("./gains.js").Gains} Gains */

export class ComparisonGraph {
  /** The last node before the destination. */
  output;
  #fade;

  /**
   * @param {AudioContext} context
   * @param {HTMLMediaElement} media is heard through this graph only, from now on
   * @param {number} channels of the file: 2 (original, clean) or 4 (left and right of each)
   * @param {Gains} gains to begin with
   */
  constructor(context, media, channels, gains) {
    const source = context.createMediaElementSource(media);
    const splitter = context.createChannelSplitter(channels);
    source.connect(splitter);
    this.output = context.createGain();
    const width = channels / 2;
    const sides = [0, width].map((first) => {
      const gain = context.createGain();
      if (width === 1) {
        splitter.connect(gain, first);
      } else {
        const merger = context.createChannelMerger(width);
        for (let n = 0; n < width; n++) splitter.connect(merger, first + n, n);
        merger.connect(gain);
      }
      gain.connect(this.output);
      return gain;
    });
    // Mono is mixed up to both ears by the destination.
    for (const node of [...sides, this.output]) {
      node.channelCount = width;
      node.channelCountMode = "explicit";
      node.channelInterpretation = "discrete";
    }
    this.output.connect(context.destination);
    this.#fade = new Crossfade(context, sides.map((side) => side.gain), asList(gains));
  }

  /** @param {Gains} gains are faded to */
  set(gains) {
    this.#fade.to(asList(gains));
  }

  /** Nothing more is heard. */
  close() {
    this.output.disconnect();
  }
}

/** @param {Gains} gains */
function asList({ original, denoised }) {
  return [original, denoised];
}
