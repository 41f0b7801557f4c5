import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE_MS, CAP_MS } from "../../../denoise_relay/static/denoise_relay/backoff.js";
import { TIMES } from "../../../denoise_relay/static/denoise_relay/live/transports.js";
import { done, frame, settle } from "../fakes.js";
import { live, watching } from "./harness.js";

test("pings every 20 s and takes any message for an answer", async () => {
  const { network, clock } = watching();
  live(network);
  assert.equal(network.socket.pings, 1);
  await clock.pass(TIMES.ping);
  assert.equal(network.socket.pings, 2);
  network.socket.says(frame(1));
  await clock.pass(TIMES.pong + 1);
  assert.equal(network.sockets.length, 1);
  assert.equal(network.socket.closedWith, null);
});

test("a dead socket is found by the missing pong and replaced", async () => {
  const { network, clock, seen } = watching();
  live(network);
  const dead = network.socket;
  await clock.pass(TIMES.ping + TIMES.pong + BASE_MS);
  assert.equal(dead.closedWith, 1000);
  assert.equal(network.sockets.length, 2);
  // Its late words count no more.
  dead.says(frame(9));
  assert.deepEqual(seen.frames, []);
});

test("a socket that never opens is given up", async () => {
  const { network, clock } = watching();
  await clock.pass(TIMES.open + BASE_MS);
  assert.equal(network.sockets.length, 2);
});

test("a socket given up while connecting is closed once it opens", async () => {
  const { network, clock } = watching();
  const slow = network.socket;
  await clock.pass(TIMES.open);
  assert.equal(slow.closedWith, null);
  slow.opens();
  assert.equal(slow.closedWith, 1000);
});

test("4404 stops for good and says so", async () => {
  const { network, clock, seen } = watching();
  network.socket.opens();
  network.socket.closes(4404);
  assert.equal(seen.states.at(-1), "gone");
  network.emit("online");
  await clock.pass(10 * CAP_MS);
  assert.equal(network.sockets.length, 1);
});

test("1000 before the end asks the status, then reconnects", async () => {
  const { network, clock, seen } = watching();
  network.answer = () => ({ status: 200, body: frame(5) });
  live(network);
  network.socket.closes(1000);
  await settle();
  assert.deepEqual(network.fetched, ["/jobs/x/status/"]);
  assert.deepEqual(seen.frames, [5]);
  await clock.pass(BASE_MS);
  assert.equal(network.socket.path, "/ws/denoise/x/?after=5");
});

test("1000 before the end, and the status has the end: finished", async () => {
  const { network, clock, seen } = watching();
  network.answer = () => ({ status: 200, body: done(6) });
  live(network);
  network.socket.closes(1000);
  await settle();
  assert.equal(seen.states.at(-1), "stopped");
  assert.equal(clock.pending, 0);
});

test("4012 comes back later than a cut would, and is no failure of sockets", async () => {
  const { network, clock } = watching();
  network.chance = 0.999;
  for (let i = 0; i < 5; i += 1) {
    live(network);
    network.socket.closes(4012);
    const before = network.sockets.length;
    await clock.pass(3900);
    assert.equal(network.sockets.length, before);
    await clock.pass(100);
    assert.equal(network.sockets.length, before + 1);
  }
  assert.equal(network.streams.length, 0);
});

test("what is not JSON, or no object, is passed over", () => {
  const { network, seen } = watching();
  live(network);
  for (const noise of ["<html>", "", "null", "7", "[1]", '"x"']) network.socket.says(noise);
  network.socket.says(frame(1));
  assert.deepEqual(seen.frames, [1]);
});
