/** Which transport comes next: WebSocket, then Server-Sent Events, then polling. Pure. */

/** Failures in a row before the next transport is tried. */
export const SOCKET_TRIES = 3;
export const STREAM_TRIES = 2;

export class Fallback {
  #failures = { socket: 0, stream: 0 };

  /**
   * @param {() => boolean} streamExists
   * @returns {"socket"|"stream"|"poll"}
   */
  next(streamExists) {
    if (this.#failures.socket < SOCKET_TRIES) return "socket";
    return this.#failures.stream < STREAM_TRIES && streamExists() ? "stream" : "poll";
  }

  /** @param {"socket"|"stream"} kind */
  worked(kind) {
    this.#failures[kind] = 0;
  }

  /** @param {"socket"|"stream"} kind */
  failed(kind) {
    this.#failures[kind] += 1;
  }

  /** The server refused what we send over sockets. */
  giveUpSockets() {
    this.#failures.socket = SOCKET_TRIES;
  }

  /** Give sockets and streams one more try each. */
  tryAgain() {
    this.#failures = { socket: SOCKET_TRIES - 1, stream: STREAM_TRIES - 1 };
  }

  reset() {
    this.#failures = { socket: 0, stream: 0 };
  }
}
