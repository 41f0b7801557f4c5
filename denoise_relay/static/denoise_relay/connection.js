/**
 * Keeps one viewer connected: WebSocket first, then Server-Sent Events, then polling.
 *
 * What travels is the route's business (`routes.js`); this is only about being connected:
 * when to open, how to notice a dead line, how long to wait, when to fall back, when to stop.
 */

import { browser } from "./browser.js";

export const TIMES = Object.freeze({
  ping: 20_000,
  pong: 8_000, // a socket that has not answered by then is dead, though no close came
  open: 10_000,
  quiet: 1_000, // shorter outages are not worth a word to anybody
  base: 1_000,
  cap: 30_000,
  poll: 3_000,
  streamSilence: 30_000, // EventSource hides heartbeats, so silence is checked by asking
  probe: 120_000, // how long polling goes on before sockets get another chance
});
export const SOCKET_TRIES = 3;
export const STREAM_TRIES = 2;
export const CLOSE = Object.freeze({ normal: 1000, badInput: 4400, notFound: 4404, away: 4012 });

/**
 * Full jitter: anything between nothing and the exponential bound, in milliseconds, so that
 * viewers cut off together do not come back together.
 * @param {number} attempt 0 for the first reconnect
 * @param {() => number} random
 */
export function backoff(attempt, random) {
  return random() * Math.min(TIMES.cap, TIMES.base * 2 ** Math.min(attempt, 16));
}

/**
 * @typedef {object} Route
 * @property {() => string} socketUrl where to connect; carries the position to resume from
 * @property {() => string|null} streamUrl the same over SSE; null where that does not exist
 * @property {(send: ((message: object) => void)|null) => void} opened a socket is open, or gone
 * @property {(data: any) => void} receive one decoded message
 * @property {(fetchJson: Function) => Promise<"ok"|"gone">} poll ask once; rejects on failure
 * @property {() => boolean} finished nothing left to wait for
 */

export class Connection {
  #route;
  #onState;
  #env;
  #timers = new Map();
  /** @type {{kind: string, close: () => void, send?: (message: object) => void}|null} */
  #transport = null;
  #unlisten = null;
  #state = "idle";
  #attempt = 0;
  #socketFailures = 0;
  #streamFailures = 0;
  #pings = 0;

  /**
   * @param {Route} route
   * @param {(state: "live"|"reconnecting"|"gone"|"stopped") => void} onState
   * @param {import("./browser.js").Environment} env
   */
  constructor(route, onState, env = browser()) {
    this.#route = route;
    this.#onState = onState;
    this.#env = env;
  }

  start() {
    if (this.#unlisten !== null || this.#isOver()) return;
    this.#unlisten = this.#env.listen({
      online: () => this.#wake(),
      offline: () => this.#cut(),
      visibilitychange: () => this.#env.visible() && this.#wake(),
      // A page in the back/forward cache must hold no connection, and starts again from there.
      pagehide: (event) => event.persisted && this.#suspend(),
      pageshow: (event) => event.persisted && this.#wake(),
    });
    this.#connect();
  }

  /** Close everything, for good. */
  stop() {
    this.#end("stopped");
  }

  #isOver() {
    return this.#state === "gone" || this.#state === "stopped";
  }

  #end(state) {
    if (this.#isOver()) return;
    this.#suspend();
    this.#unlisten?.();
    this.#unlisten = null;
    this.#enter(state);
  }

  #enter(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }

  #suspend() {
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#drop();
    // So that whoever comes back says "reconnecting" again if it takes long.
    if (!this.#isOver()) this.#state = "idle";
  }

  #drop() {
    const transport = this.#transport;
    this.#transport = null;
    this.#clear("open");
    this.#clear("ping");
    this.#clear("pong");
    this.#clear("silence");
    if (transport?.kind === "socket") this.#route.opened(null);
    transport?.close();
  }

  #later(name, ms, callback) {
    this.#clear(name);
    const timer = this.#env.setTimeout(() => {
      this.#timers.delete(name);
      callback();
    }, ms);
    this.#timers.set(name, timer);
  }

  #clear(name) {
    if (!this.#timers.has(name)) return;
    this.#env.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** The network or the person came back: do not sit out a back-off, and distrust old sockets. */
  #wake() {
    if (this.#isOver()) return;
    if (this.#transport?.kind === "socket") {
      if (this.#state === "live" && !this.#timers.has("pong")) this.#ping();
      return;
    }
    if (this.#transport !== null) return;
    this.#attempt = 0;
    this.#socketFailures = 0;
    this.#streamFailures = 0;
    this.#connect();
  }

  /** The browser says that the network is gone; sockets may take minutes to notice. */
  #cut() {
    this.#drop();
    this.#retry();
  }

  #connect() {
    this.#clear("retry");
    this.#drop();
    if (this.#route.finished()) {
      this.stop();
      return;
    }
    if (this.#state !== "live" && this.#state !== "reconnecting") this.#worry();
    if (this.#socketFailures < SOCKET_TRIES) this.#openSocket();
    else if (this.#streamFailures < STREAM_TRIES && this.#route.streamUrl() !== null) {
      this.#openStream();
    } else this.#startPolling();
  }

  #worry() {
    if (this.#timers.has("quiet") || this.#state === "reconnecting") return;
    this.#later("quiet", TIMES.quiet, () => this.#enter("reconnecting"));
  }

  /** Something came through: the line works. */
  #heard() {
    if (this.#isOver()) return; // what arrived may have made its watcher leave
    this.#attempt = 0;
    this.#clear("quiet");
    this.#enter("live");
    if (this.#route.finished()) this.stop();
  }

  #retry({ atLeast = 0 } = {}) {
    if (this.#isOver()) return;
    this.#worry();
    const attempt = Math.max(this.#attempt, atLeast);
    this.#attempt = attempt + 1;
    this.#later("retry", backoff(attempt, this.#env.random), () => this.#connect());
  }

  // ---- WebSocket

  #openSocket() {
    let socket;
    try {
      socket = this.#env.openSocket(this.#route.socketUrl());
    } catch {
      this.#socketLost(1006); // forbidden by policy or a bad URL; the fallbacks may still work
      return;
    }
    const mine = {
      kind: "socket",
      send: (message) => socket.send(JSON.stringify(message)),
      close: () => {
        socket.onmessage = null;
        socket.onclose = null;
        // Closing while connecting would put an error into everybody's console.
        if (socket.readyState === 0) socket.onopen = () => socket.close(CLOSE.normal);
        else socket.close(CLOSE.normal);
      },
    };
    this.#transport = mine;
    this.#later("open", TIMES.open, () => this.#socketLost(1006));
    socket.onopen = () => {
      this.#clear("open");
      this.#route.opened(mine.send);
      this.#ping();
    };
    socket.onmessage = (event) => this.#socketMessage(event.data);
    socket.onclose = (event) => this.#socketLost(event.code);
  }

  #ping() {
    this.#clear("ping");
    this.#later("pong", TIMES.pong, () => this.#socketLost(1006));
    this.#pings += 1;
    this.#transport.send({ ping: this.#pings });
  }

  #socketMessage(raw) {
    const data = decode(raw);
    if (data === null) return;
    // Anything that arrives proves the line, not only the answer to the ping.
    this.#clear("pong");
    this.#later("ping", TIMES.ping, () => this.#ping());
    this.#socketFailures = 0;
    if (!("pong" in data)) this.#route.receive(data);
    this.#heard();
  }

  #socketLost(code) {
    const online = this.#env.online();
    this.#drop();
    if (code === CLOSE.notFound) {
      this.#end("gone");
    } else if (code === CLOSE.normal) {
      // The server thinks that we have heard the end; if we have not, the database knows.
      this.#askOnce(() => this.#retry());
    } else if (code === CLOSE.away) {
      this.#retry({ atLeast: 2 });
    } else {
      if (code === CLOSE.badInput) this.#socketFailures = SOCKET_TRIES;
      // Without a network no transport works: nothing to be learned about sockets.
      else if (online) this.#socketFailures += 1;
      this.#retry();
    }
  }

  // ---- Server-Sent Events

  #openStream() {
    let stream;
    try {
      stream = this.#env.openStream(this.#route.streamUrl());
    } catch {
      this.#streamLost();
      return;
    }
    this.#transport = {
      kind: "stream",
      close: () => {
        stream.onmessage = null;
        stream.onerror = null;
        stream.close();
      },
    };
    this.#listenForSilence();
    stream.onopen = () => this.#heard();
    stream.onmessage = (event) => {
      const data = decode(event.data);
      if (data === null) return;
      this.#streamFailures = 0;
      this.#listenForSilence();
      this.#route.receive(data);
      this.#heard();
    };
    // EventSource would retry at its own pace; ours has jitter, resume and fallbacks.
    stream.onerror = () => this.#streamLost();
  }

  #listenForSilence() {
    this.#later("silence", TIMES.streamSilence, () => {
      this.#listenForSilence();
      this.#askOnce(() => this.#streamLost());
    });
  }

  #streamLost() {
    this.#drop();
    if (this.#env.online()) this.#streamFailures += 1;
    // EventSource does not tell a 404 from a cut; the status endpoint does.
    this.#askOnce(() => this.#retry());
  }

  // ---- polling

  #startPolling() {
    this.#transport = { kind: "poll", close: () => this.#clear("poll") };
    if (!this.#timers.has("probe")) {
      this.#later("probe", TIMES.probe, () => {
        if (this.#transport?.kind === "socket") return;
        this.#socketFailures = SOCKET_TRIES - 1;
        this.#streamFailures = STREAM_TRIES - 1;
        this.#connect();
      });
    }
    this.#poll(this.#transport);
  }

  async #poll(mine) {
    const answer = await this.#ask();
    if (this.#transport !== mine || this.#isOver()) return;
    if (answer === "gone") this.#end("gone");
    else if (answer === "ok") {
      this.#heard();
      if (!this.#isOver()) this.#later("poll", TIMES.poll, () => this.#poll(mine));
    } else {
      this.#drop();
      this.#retry();
    }
  }

  /** Ask the database; `otherwise` runs when that brought no end, or no answer at all. */
  async #askOnce(otherwise) {
    const before = this.#transport;
    if (before === null) this.#worry();
    const answer = await this.#ask();
    if (this.#transport !== before || this.#isOver()) return;
    if (answer === "gone") this.#end("gone");
    else if (this.#route.finished()) this.stop();
    else if (answer === "failed" || before === null) otherwise();
  }

  async #ask() {
    try {
      return await this.#route.poll(this.#env.fetchJson);
    } catch {
      return "failed"; // network, timeout, a proxy's error page: all mean "try later"
    }
  }
}

function decode(raw) {
  if (typeof raw !== "string") return null;
  try {
    const data = JSON.parse(raw);
    return typeof data === "object" && data !== null && !Array.isArray(data) ? data : null;
  } catch {
    return null; // not ours; a proxy's greeting must not end the page's script
  }
}
