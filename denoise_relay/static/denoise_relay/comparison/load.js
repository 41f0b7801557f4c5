/** Fetches recordings, decodes them, and matches their levels. */

import { measure, matchingGains, RATE } from "./levels.js";

/** @typedef {import("./levels.js").Level} Level */

const FETCH_MS = 120_000;
const LARGEST_BYTES = 300_000_000;

/**
 * Load all sides of a trial. The original may be missing from the result: browsers do not decode
 * every format. Rejects if another side cannot be loaded.
 * @param {Map<string, string>} urls by side: `a`, `b`, `o`, maybe `x`
 * @returns {Promise<Map<string, {buffer: AudioBuffer, gain: number}>>}
 */
export async function load(urls) {
  /** @type {Map<string, AudioBuffer>} */
  const buffers = new Map();
  /** @type {Record<string, Level>} */
  const levels = {};
  // One after the other: decoding needs memory for the compressed and the decoded recording.
  for (const [side, url] of urls) {
    try {
      const buffer = await decode(await fetchBytes(url));
      levels[side] = await measure(channelsOf(buffer), nextTask);
      buffers.set(side, buffer);
    } catch (error) {
      if (side !== "o") throw error;
    }
  }
  const gains = matchingGains(levels);
  return new Map([...buffers].map(([side, buffer]) => [side, { buffer, gain: gains[side] }]));
}

/** @param {string} url */
async function fetchBytes(url) {
  const response = await fetch(url, {
    credentials: "same-origin",
    signal: AbortSignal.timeout(FETCH_MS),
  });
  if (!response.ok) throw new Error(`answered ${response.status}`);
  if (Number(response.headers.get("Content-Length")) > LARGEST_BYTES) throw new Error("too large");
  return response.arrayBuffer();
}

/** @param {ArrayBuffer} bytes */
function decode(bytes) {
  // An offline context decodes to its rate before anybody pressed anything.
  return new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
}

/** @param {AudioBuffer} buffer */
function channelsOf(buffer) {
  return Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
}

/** @returns {Promise<void>} */
function nextTask() {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
