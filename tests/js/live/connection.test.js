import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE_MS, CAP_MS } from "../../../denoise_relay/static/denoise_relay/backoff.js";
import { Connection } from "../../../denoise_relay/static/denoise_relay/live/connection.js";
import { LoneRoute } from "../../../denoise_relay/static/denoise_relay/live/routes.js";
import { TIMES } from "../../../denoise_relay/static/denoise_relay/live/transports.js";
import { JOB, Network, done, frame, settle } from "../fakes.js";
import { failSockets, live, watching } from "./harness.js";

test("starts with a socket that resumes after what the page shows", () => {
  const { network } = watching({ seq: 7 });
  assert.equal(network.socket.path, "/ws/denoise/x/?after=7");
});

test("frames arrive, and the end stops everything", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(1));
  network.socket.says(done(2));
  assert.deepEqual(seen.frames, [1, 2]);
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(clock.pending, 0);
  assert.equal(network.listening, false);
  await clock.pass(10 * CAP_MS);
  assert.equal(network.sockets.length, 1);
});

test("reconnects after a cut, from where it was", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(3));
  network.socket.closes(1006);
  await clock.pass(BASE_MS);
  assert.equal(network.sockets.length, 2);
  assert.equal(network.socket.path, "/ws/denoise/x/?after=3");
  live(network);
  network.socket.says(frame(4));
  assert.deepEqual(seen.frames, [3, 4]);
});

test("says reconnecting after a second, not for a blink", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.closes(1006);
  await clock.pass(BASE_MS * 0.6);
  live(network);
  await clock.pass(TIMES.quiet * 3);
  assert.ok(!seen.states.includes("reconnecting"));
  network.chance = 0.99;
  network.socket.closes(1006);
  await clock.pass(TIMES.quiet - 20);
  assert.ok(!seen.states.includes("reconnecting"));
  await clock.pass(40);
  assert.equal(seen.states.at(-1), "reconnecting");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("each failure waits longer; something heard starts over", async () => {
  const { network, clock } = watching();
  network.chance = 0.999;
  const waits = [];
  const lose = async () => {
    const before = network.sockets.length;
    const from = clock.now;
    network.socket.closes(1006);
    while (network.sockets.length === before) await clock.pass(100);
    waits.push(Math.round((clock.now - from) / 1000));
  };
  await lose();
  await lose();
  live(network);
  await lose();
  assert.deepEqual(waits, [1, 2, 1]);
});

test("online and visible reconnect at once", async () => {
  for (const name of ["online", "visibilitychange"]) {
    const { network, clock } = watching();
    network.chance = 0.999;
    await failSockets(network, 2);
    live(network);
    network.socket.closes(1006);
    const before = network.sockets.length;
    network.emit(name);
    assert.equal(network.sockets.length, before + 1, name);
    assert.ok(clock.pending > 0);
  }
});

test("a hidden page does not wake up", async () => {
  const { network } = watching();
  live(network);
  network.socket.closes(1006);
  network.isVisible = false;
  network.emit("visibilitychange");
  assert.equal(network.sockets.length, 1);
});

test("coming back to a live socket checks it with a ping", async () => {
  const { network, clock } = watching();
  live(network);
  const { pings } = network.socket;
  network.emit("visibilitychange");
  assert.equal(network.socket.pings, pings + 1);
  network.emit("visibilitychange");
  assert.equal(network.socket.pings, pings + 1, "one question at a time");
  await clock.pass(TIMES.pong + BASE_MS);
  assert.equal(network.sockets.length, 2);
});

test("offline cuts at once, and online heals", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.isOnline = false;
  network.emit("offline");
  network.chance = 0.999;
  await clock.pass(TIMES.quiet);
  assert.equal(seen.states.at(-1), "reconnecting");
  network.isOnline = true;
  network.socket.closes(1006);
  network.emit("online");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("the back/forward cache holds no connection, and returning starts again", async () => {
  const { network, clock, seen } = watching();
  live(network);
  network.socket.says(frame(2));
  network.emit("pagehide", { persisted: true });
  assert.equal(network.socket.closedWith, 1000);
  assert.equal(clock.pending, 0);
  network.emit("pageshow", { persisted: true });
  assert.equal(network.socket.path, "/ws/denoise/x/?after=2");
  live(network);
  assert.equal(seen.states.at(-1), "live");
});

test("a page that is really left keeps its socket to the browser", () => {
  const { network } = watching();
  live(network);
  network.emit("pagehide", { persisted: false });
  assert.equal(network.socket.closedWith, null);
});

test("a watcher that leaves at a frame is not told that it is live", () => {
  const network = new Network();
  const states = [];
  const watcher = {
    job: JOB,
    socketUrl: "/ws/",
    seq: () => 0,
    ended: () => false,
    frame: () => connection.stop(),
  };
  const connection = new Connection(
    new LoneRoute(watcher),
    (state) => states.push(state),
    network.environment(),
  );
  connection.start();
  network.socket.opens();
  network.socket.says(frame(1));
  assert.deepEqual(states, ["stopped"]);
});

test("stop closes and forgets, also in the middle of asking", async () => {
  const { network, clock, connection, seen } = watching();
  let release;
  network.answer = () =>
    new Promise((resolve) => {
      release = () => resolve({ status: 200, body: frame(8) });
    });
  live(network);
  network.socket.closes(1000);
  await settle();
  connection.stop();
  release();
  await clock.pass(10 * CAP_MS);
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(network.sockets.length, 1);
  assert.equal(clock.pending, 0);
});
