/**
 * Keeps one viewer connected: WebSocket first, then Server-Sent Events, then polling.
 *
 * Decides when to open, how long to wait, when to fall back and when to stop. `routes.js` has
 * what is sent and received, `transports.js` how.
 */

import { backoff } from "../backoff.js";
import { browser, Timers } from "../environment.js";
import { Fallback } from "./fallback.js";
import { ABNORMAL, ask, CLOSE, TIMES } from "./transports.js";
import { PollTransport, SocketTransport, StreamTransport } from "./transports.js";

/** @typedef {"live"|"reconnecting"|"gone"|"stopped"} ConnectionState */

/** @typedef {import("./routes.js").Route} Route */

export class Connection {
  #route;
  #onState;
  #environment;
  #timers;
  /** @type {import("./transports.js").Transport|null} */
  #transport = null;
  /** @type {(() => void)|null} */
  #unlisten = null;
  /** @type {ConnectionState|"idle"} */
  #state = "idle";
  #attempt = 0;
  #fallback = new Fallback();

  /**
   * @param {Route} route
   * @param {(state: ConnectionState) => void} onState
   * @param {import("../environment.js").Environment} environment
   */
  constructor(route, onState, environment = browser()) {
    this.#route = route;
    this.#onState = onState;
    this.#environment = environment;
    this.#timers = new Timers(environment);
  }

  start() {
    if (this.#unlisten !== null || this.#isOver()) return;
    this.#unlisten = this.#environment.listen({
      online: () => this.#wake(),
      // A socket may take minutes to notice that the network is gone.
      offline: () => {
        this.#drop();
        this.#retry();
      },
      visibilitychange: () => this.#environment.visible() && this.#wake(),
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

  /** @param {"gone"|"stopped"} state */
  #end(state) {
    if (this.#isOver()) return;
    this.#suspend();
    this.#unlisten?.();
    this.#unlisten = null;
    this.#enter(state);
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }

  #suspend() {
    this.#timers.clearAll();
    this.#drop();
    // So that "reconnecting" is shown again after the return, if that takes long.
    if (!this.#isOver()) this.#state = "idle";
  }

  #drop() {
    const transport = this.#transport;
    this.#transport = null;
    if (transport?.kind === "socket") this.#route.opened(null);
    transport?.close();
  }

  /** The network or the person came back: do not wait any longer, and check an old socket. */
  #wake() {
    if (this.#isOver()) return;
    if (this.#transport?.kind === "socket") {
      if (this.#state === "live") this.#transport.check?.();
      return;
    }
    if (this.#transport !== null) return;
    this.#attempt = 0;
    this.#fallback.reset();
    this.#connect();
  }

  #connect() {
    this.#timers.clear("retry");
    this.#drop();
    if (this.#route.finished()) {
      this.stop();
      return;
    }
    if (this.#state !== "live" && this.#state !== "reconnecting") this.#showOutageSoon();
    const next = this.#fallback.next(() => this.#route.streamUrl() !== null);
    if (next === "socket") this.#openSocket();
    else if (next === "stream") this.#openStream();
    else this.#startPolling();
  }

  #showOutageSoon() {
    if (this.#timers.has("quiet") || this.#state === "reconnecting") return;
    this.#timers.set("quiet", TIMES.quiet, () => this.#enter("reconnecting"));
  }

  /** Something arrived: the line works. */
  #alive() {
    if (this.#isOver()) return; // what arrived may have ended the subscription
    this.#attempt = 0;
    this.#timers.clear("quiet");
    this.#enter("live");
    if (this.#route.finished()) this.stop();
  }

  #retry({ atLeast = 0 } = {}) {
    if (this.#isOver()) return;
    this.#showOutageSoon();
    const attempt = Math.max(this.#attempt, atLeast);
    this.#attempt = attempt + 1;
    const ms = backoff(attempt, this.#environment.random);
    this.#timers.set("retry", ms, () => this.#connect());
  }

  #openSocket() {
    try {
      this.#transport = new SocketTransport(this.#route.socketUrl(), this.#environment, {
        opened: (send) => this.#route.opened(send),
        alive: () => this.#socketWorks(),
        message: (data) => {
          this.#route.receive(data);
          this.#socketWorks();
        },
        lost: (code) => this.#socketLost(code),
        silent: () => {},
      });
    } catch {
      this.#socketLost(ABNORMAL); // forbidden by policy or a bad URL; a fallback may still work
    }
  }

  #socketWorks() {
    this.#fallback.worked("socket");
    this.#alive();
  }

  /** @param {number} code */
  #socketLost(code) {
    const online = this.#environment.online();
    this.#drop();
    if (code === CLOSE.notFound) {
      this.#end("gone");
    } else if (code === CLOSE.normal) {
      // The server thinks that we received the end; if we did not, the database knows it.
      this.#askOnce(() => this.#retry());
    } else if (code === CLOSE.away) {
      this.#retry({ atLeast: 2 });
    } else {
      if (code === CLOSE.badInput) this.#fallback.giveUpSockets();
      // Without a network no transport works: that says nothing about sockets.
      else if (online) this.#fallback.failed("socket");
      this.#retry();
    }
  }

  #openStream() {
    try {
      this.#transport = new StreamTransport(this.#route.streamUrl() ?? "", this.#environment, {
        opened: () => {},
        alive: () => this.#alive(),
        message: (data) => {
          this.#fallback.worked("stream");
          this.#route.receive(data);
          this.#alive();
        },
        lost: () => this.#streamLost(),
        silent: () => this.#askOnce(() => this.#streamLost()),
      });
    } catch {
      this.#streamLost();
    }
  }

  #streamLost() {
    this.#drop();
    if (this.#environment.online()) this.#fallback.failed("stream");
    // EventSource does not tell a 404 from a cut; the status endpoint does.
    this.#askOnce(() => this.#retry());
  }

  #startPolling() {
    if (!this.#timers.has("probe")) {
      this.#timers.set("probe", TIMES.probe, () => {
        if (this.#transport?.kind === "socket") return;
        this.#fallback.tryAgain();
        this.#connect();
      });
    }
    this.#transport = new PollTransport(this.#route, this.#environment, {
      alive: () => this.#alive(),
      lost: (code) => {
        this.#drop();
        if (code === CLOSE.notFound) this.#end("gone");
        else this.#retry();
      },
    });
  }

  /**
   * Ask the database; `otherwise` runs when that brought no end, or no answer at all.
   * @param {() => void} otherwise
   */
  async #askOnce(otherwise) {
    const before = this.#transport;
    if (before === null) this.#showOutageSoon();
    const answer = await ask(this.#route, this.#environment);
    if (this.#transport !== before || this.#isOver()) return;
    if (answer === "gone") this.#end("gone");
    else if (this.#route.finished()) this.stop();
    else if (answer === "failed" || before === null) otherwise();
  }
}
