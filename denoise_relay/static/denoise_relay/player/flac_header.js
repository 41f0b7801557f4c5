/** How many channels a FLAC file has: media elements do not tell. */

/** Marker, head of the first block, and as much of STREAMINFO as says it (RFC 9639, 8.2). */
const HEADER_BYTES = 22;

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>} rejects if there is no such file, or if it is no FLAC
 */
export async function channelsOf(url, signal) {
  const response = await fetch(url, {
    headers: { Range: `bytes=0-${HEADER_BYTES - 1}` },
    credentials: "same-origin",
    signal,
  });
  if (!response.ok || !response.body) throw new Error(`No comparison: ${response.status}`);
  // A server may answer with all of it.
  const reader = response.body.getReader();
  const bytes = new Uint8Array(HEADER_BYTES);
  let length = 0;
  while (length < HEADER_BYTES) {
    const { value, done } = await reader.read();
    if (done) break;
    const more = value.subarray(0, HEADER_BYTES - length);
    bytes.set(more, length);
    length += more.length;
  }
  reader.cancel().catch(() => {});
  return parseChannels(bytes.subarray(0, length));
}

/** @param {Uint8Array} bytes the file's first ones */
export function parseChannels(bytes) {
  if (bytes.length < HEADER_BYTES || String.fromCharCode(...bytes.subarray(0, 4)) !== "fLaC") {
    throw new Error("This is no FLAC file.");
  }
  // 20 bits of sample rate, then 3 of channels, less one.
  return ((bytes[20] >> 1) & 7) + 1;
}
