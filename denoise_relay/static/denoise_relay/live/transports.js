/**
 * The three ways to receive messages: WebSocket, Server-Sent Events, polling. Each opens,
 * notices when it is broken, and closes. `connection.js` decides what happens then.
 */

import { Timers } from "../environment.js";

/** In milliseconds. */
export const TIMES = Object.freeze({
  ping: 20_000,
  pong: 8_000, // a socket that has not answered by then is dead, though no close arrived
  open: 10_000,
  poll: 3_000,
  streamSilence: 30_000, // EventSource hides heartbeats, so silence is checked by asking
  quiet: 1_000, // shorter outages are not shown
  probe: 120_000, // how long polling goes on before sockets are tried again
});
export const CLOSE = Object.freeze({ normal: 1000, badInput: 4400, notFound: 4404, away: 4012 });
/** The browser's code for a connection that ended without a close frame. */
export const ABNORMAL = 1006;

/**
 * What a transport tells its connection.
 * @typedef {object} Listener
 * @property {(send: (message: object) => void) => void} opened the socket is open
 * @property {() => void} alive something arrived that is no message: the line works
 * @property {(data: any) => void} message one decoded message
 * @property {(code: number) => void} lost the line is dead
 * @property {() => void} silent nothing arrived for a while, which may be right
 */

/**
 * @typedef {object} Transport
 * @property {"socket"|"stream"|"poll"} kind
 * @property {() => void} close
 * @property {() => void} [check] make sure that the line works, now
 */

/** @implements {Transport} */
export class SocketTransport {
  kind = /** @type {const} */ ("socket");
  #socket;
  #listener;
  #timers;
  #pings = 0;

  /**
   * Throws when the browser forbids the socket.
   * @param {string} url
   * @param {import("../environment.js").Environment} environment
   * @param {Listener} listener
   */
  constructor(url, environment, listener) {
    this.#listener = listener;
    this.#timers = new Timers(environment);
    const socket = environment.openSocket(url);
    this.#socket = socket;
    this.#timers.set("open", TIMES.open, () => listener.lost(ABNORMAL));
    socket.onopen = () => {
      this.#timers.clear("open");
      listener.opened((message) => this.#send(message));
      this.#ping();
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => listener.lost(event.code);
  }

  check() {
    if (!this.#timers.has("pong")) this.#ping();
  }

  close() {
    const socket = this.#socket;
    this.#timers.clearAll();
    socket.onmessage = null;
    socket.onclose = null;
    // Closing a socket that still connects would write an error to the console.
    if (socket.readyState === 0) socket.onopen = () => socket.close(CLOSE.normal);
    else socket.close(CLOSE.normal);
  }

  /** @param {object} message */
  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #ping() {
    this.#timers.clear("ping");
    this.#timers.set("pong", TIMES.pong, () => this.#listener.lost(ABNORMAL));
    this.#pings += 1;
    this.#send({ ping: this.#pings });
  }

  /** @param {unknown} raw */
  #receive(raw) {
    const data = decode(raw);
    if (data === null) return;
    // Any message shows that the connection works, not only the answer to the ping.
    this.#timers.clear("pong");
    this.#timers.set("ping", TIMES.ping, () => this.#ping());
    if ("pong" in data) this.#listener.alive();
    else this.#listener.message(data);
  }
}

/** @implements {Transport} */
export class StreamTransport {
  kind = /** @type {const} */ ("stream");
  #stream;
  #listener;
  #timers;

  /**
   * Throws when the browser forbids the stream.
   * @param {string} url
   * @param {import("../environment.js").Environment} environment
   * @param {Listener} listener
   */
  constructor(url, environment, listener) {
    this.#listener = listener;
    this.#timers = new Timers(environment);
    const stream = environment.openStream(url);
    this.#stream = stream;
    this.#watchSilence();
    stream.onopen = () => listener.alive();
    stream.onmessage = (event) => {
      const data = decode(event.data);
      if (data === null) return;
      this.#watchSilence();
      listener.message(data);
    };
    // EventSource would reconnect by itself, without jitter, resume and fallbacks.
    stream.onerror = () => listener.lost(ABNORMAL);
  }

  close() {
    this.#timers.clearAll();
    this.#stream.onmessage = null;
    this.#stream.onerror = null;
    this.#stream.close();
  }

  #watchSilence() {
    this.#timers.set("silence", TIMES.streamSilence, () => {
      this.#watchSilence();
      this.#listener.silent();
    });
  }
}

/** @implements {Transport} */
export class PollTransport {
  kind = /** @type {const} */ ("poll");
  #route;
  #environment;
  #listener;
  #timers;
  #closed = false;

  /**
   * @param {import("./routes.js").Route} route
   * @param {import("../environment.js").Environment} environment
   * @param {Pick<Listener, "alive"|"lost">} listener
   */
  constructor(route, environment, listener) {
    this.#route = route;
    this.#environment = environment;
    this.#listener = listener;
    this.#timers = new Timers(environment);
    this.#poll();
  }

  close() {
    this.#closed = true;
    this.#timers.clearAll();
  }

  async #poll() {
    const answer = await ask(this.#route, this.#environment);
    if (this.#closed) return;
    if (answer === "ok") this.#listener.alive();
    else this.#listener.lost(answer === "gone" ? CLOSE.notFound : ABNORMAL);
    // What arrived may have ended it.
    if (!this.#closed) this.#timers.set("poll", TIMES.poll, () => this.#poll());
  }
}

/**
 * Ask the database how a route's jobs stand. Never rejects.
 * @typedef {"ok"|"gone"|"failed"} Answer
 * @param {import("./routes.js").Route} route
 * @param {import("../environment.js").Environment} environment
 * @returns {Promise<Answer>}
 */
export async function ask(route, environment) {
  try {
    return await route.poll(environment.fetchJson);
  } catch {
    return "failed"; // network, timeout, a proxy's error page: all mean "try later"
  }
}

/**
 * @param {unknown} raw
 * @returns {any} an object, or null for what is none
 */
function decode(raw) {
  if (typeof raw !== "string") return null;
  try {
    const data = JSON.parse(raw);
    return typeof data === "object" && data !== null && !Array.isArray(data) ? data : null;
  } catch {
    return null; // not ours: a proxy's greeting must not end the page's script
  }
}
