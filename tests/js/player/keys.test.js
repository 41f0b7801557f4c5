import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.Element ??= class {};
const { commandOf } = await import("../../../denoise_relay/static/denoise_relay/player/keys.js");

/** An element that matches these selectors, as far as they are asked for. */
class Target extends globalThis.Element {
  constructor(...selectors) {
    super();
    this.selectors = selectors;
  }

  matches(selector) {
    return this.selectors.includes(selector);
  }

  closest(selector) {
    return this.selectors.some((it) => selector.split(", ").includes(it)) ? this : null;
  }
}

const BODY = new Target();
const BUTTON = new Target("button");
const RADIO = new Target("input[type=radio]");
const RANGE = new Target("input[type=range]:not([data-part=seek])");

function press(key, target = BODY, more = {}) {
  const done = [];
  const note = (name) => (...values) => done.push([name, ...values].join(" "));
  const names = ["toggle", "step", "jump", "select", "swap", "zoomIn", "zoomOut", "help"];
  const commands = Object.fromEntries(names.map((name) => [name, note(name)]));
  commandOf({ key, target, ...more }, commands)?.();
  return done.join();
}

test("the keys", () => {
  const meanings = {
    " ": "toggle",
    ArrowLeft: "step -5",
    ArrowRight: "step 5",
    Home: "jump 0",
    End: "jump 1",
    1: "select original",
    2: "select denoised",
    3: "select removed",
    m: "select mix",
    M: "select mix",
    b: "swap",
    "+": "zoomIn",
    "-": "zoomOut",
    "?": "help",
    x: "",
    Enter: "",
  };
  for (const [key, meaning] of Object.entries(meanings)) assert.equal(press(key), meaning, key);
  assert.equal(press("ArrowRight", BODY, { shiftKey: true }), "step 1");
});

test("shortcuts of the browser, and keys that somebody has used, are left alone", () => {
  for (const more of ["ctrlKey", "metaKey", "altKey", "defaultPrevented"]) {
    assert.equal(press("b", BODY, { [more]: true }), "", more);
  }
});

test("a control keeps the keys that it needs", () => {
  assert.equal(press(" ", BUTTON), "");
  assert.equal(press("ArrowLeft", BUTTON), "step -5");
  assert.equal(press("ArrowLeft", RADIO), "");
  assert.equal(press(" ", RADIO), "toggle");
  assert.equal(press("Home", RANGE), "");
  assert.equal(press("ArrowUp", RANGE), "");
  assert.equal(press("3", RANGE), "select removed");
});
