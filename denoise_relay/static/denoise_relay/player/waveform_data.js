/**
 * The waveform of one recording: a minimum and a maximum of 8 bits for each stretch of samples,
 * from audiowaveform's JSON, which may come in parts. Needs no DOM.
 *
 * Minima and maxima of 4, 16, 64 … pixels are kept too, so that a column of a picture takes a few
 * reads, whatever the zoom; all of them together are a third of the pixels.
 */

const FACTOR = 4;
const FETCH_MS = 60_000;

export class WaveformData {
  sampleRate = 0;
  samplesPerPixel = 0;
  /** Pixels. */
  length = 0;
  /** Whether nothing more will come. */
  complete = false;
  /** How many pieces of the recording can be heard by now, and the seconds of each. */
  segments = 0;
  segmentSeconds = 0;
  /** Each level: minimum, maximum, minimum, … of FACTOR ** level pixels. May have room to grow. */
  #levels = [new Int8Array(0)];

  get pixelsPerSecond() {
    return this.sampleRate / this.samplesPerPixel;
  }

  /** Seconds. */
  get duration() {
    return this.length ? this.length / this.pixelsPerSecond : 0;
  }

  /** The greatest distance from zero, 0-128. */
  get peak() {
    let peak = 0;
    const top = this.#levels.length - 1;
    const count = Math.ceil(this.length / FACTOR ** top) * 2;
    for (let i = 0; i < count; i += 1) peak = Math.max(peak, Math.abs(this.#levels[top][i]));
    return peak;
  }

  /**
   * Add what the server sent. A part that begins anywhere but at the end of what is known, or has
   * another scale, replaces it: the job began again.
   * @param {any} json audiowaveform's, version 2, one channel, 8 bits; and `first`, `complete`,
   *   `segments`, `segment_seconds`, which may be absent
   * @returns {boolean} false for anything else, which changes nothing
   */
  append(json) {
    const { version, channels, bits, data, first = 0, sample_rate: rate, samples_per_pixel: scale } = json ?? {};
    if (version !== 2 || channels !== 1 || bits !== 8 || !Array.isArray(data) || !(rate > 0 && scale > 0)) {
      return false;
    }
    const follows = first === this.length && rate === this.sampleRate && scale === this.samplesPerPixel;
    if (!follows) {
      this.length = 0;
      if (first !== 0) return true; // The next request asks for all of it.
    }
    this.sampleRate = rate;
    this.samplesPerPixel = scale;
    this.complete = json.complete ?? true;
    this.segments = json.segments ?? 0;
    this.segmentSeconds = json.segment_seconds ?? 0;
    const from = this.length;
    this.length += data.length >> 1;
    this.#room(0, this.length).set(data.length % 2 ? data.slice(0, -1) : data, from * 2);
    this.#summarise(from);
    return true;
  }

  /**
   * The shape between two pixels (fractions are right), in columns of equal width: for each the
   * minimum and the maximum, 0 where nothing is known. With less than a pixel for a column they are
   * interpolated.
   * @param {number} from may be negative
   * @param {number} to
   * @param {Float32Array} columns is filled; twice as long as there are columns
   */
  columns(from, to, columns) {
    const count = columns.length >> 1;
    const span = (to - from) / count;
    const level = Math.max(0, Math.min(Math.floor(Math.log(span / 2) / Math.log(FACTOR)), this.#levels.length - 1));
    const size = FACTOR ** level;
    const pairs = this.#levels[level];
    const end = Math.ceil(this.length / size);
    for (let i = 0; i < count; i += 1) {
      const start = (from + i * span) / size;
      if (span < 1) {
        this.#between(start + span / 2, columns, i * 2);
        continue;
      }
      let low = 127;
      let high = -128;
      const last = Math.min(Math.max(Math.ceil(start + span / size), 0), end);
      for (let at = Math.max(Math.floor(start), 0); at < last; at += 1) {
        if (pairs[at * 2] < low) low = pairs[at * 2];
        if (pairs[at * 2 + 1] > high) high = pairs[at * 2 + 1];
      }
      columns[i * 2] = low > high ? 0 : low;
      columns[i * 2 + 1] = low > high ? 0 : high;
    }
  }

  /**
   * @param {number} position pixels; the value of a pixel is that of its middle
   * @param {Float32Array} columns
   * @param {number} at
   */
  #between(position, columns, at) {
    const last = this.length - 1;
    const known = position >= 0 && position <= this.length;
    const place = Math.min(Math.max(position - 0.5, 0), Math.max(last, 0));
    const left = Math.floor(place) * 2;
    const right = Math.min(Math.floor(place) + 1, last) * 2;
    for (const side of [0, 1]) {
      const value = this.#levels[0][left + side];
      columns[at + side] = known && last >= 0 ? value + (this.#levels[0][right + side] - value) * (place % 1) : 0;
    }
  }

  /**
   * A level with room for so many pairs; what is in it stays.
   * @param {number} level
   * @param {number} pairs
   */
  #room(level, pairs) {
    const now = this.#levels[level] ?? new Int8Array(0);
    if (now.length >= pairs * 2) return now;
    // Twice as much as before: growing by parts copies little.
    const larger = new Int8Array(Math.max(pairs * 2, now.length * 2));
    larger.set(now);
    this.#levels[level] = larger;
    return larger;
  }

  /** @param {number} from the first pixel that is new */
  #summarise(from) {
    let below = this.#levels[0];
    let count = this.length;
    let first = from;
    let level = 1;
    for (; count > FACTOR; level += 1) {
      first = Math.floor(first / FACTOR);
      const next = Math.ceil(count / FACTOR);
      const pairs = this.#room(level, next);
      for (let at = first; at < next; at += 1) {
        let low = 127;
        let high = -128;
        const last = Math.min((at + 1) * FACTOR, count);
        for (let i = at * FACTOR; i < last; i += 1) {
          if (below[i * 2] < low) low = below[i * 2];
          if (below[i * 2 + 1] > high) high = below[i * 2 + 1];
        }
        pairs[at * 2] = low;
        pairs[at * 2 + 1] = high;
      }
      below = pairs;
      count = next;
    }
    this.#levels.length = level;
  }
}

/**
 * Ask for what is not yet known. Never rejects.
 * @param {WaveformData} data
 * @param {string} url
 * @returns {Promise<boolean>} whether there was an answer: false without a network, and where there is no waveform (yet)
 */
export async function growWaveform(data, url) {
  try {
    const response = await fetch(`${url}?from=${data.length}&soon=1`, {
      credentials: "same-origin",
      signal: AbortSignal.timeout(FETCH_MS),
    });
    return response.status === 200 && data.append(await response.json());
  } catch {
    return false;
  }
}

/**
 * A whole waveform, or null where there is none. Never rejects.
 * @param {string} url
 * @returns {Promise<WaveformData|null>}
 */
export async function loadWaveform(url) {
  const data = new WaveformData();
  return (await growWaveform(data, url)) ? data : null;
}
