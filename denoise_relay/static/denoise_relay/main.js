/**
 * The page's entry: defines the custom elements, once, however often it is loaded.
 *
 * What only some pages have is loaded where there is one, in a template, too: the panel of a job
 * that is done waits in one.
 */

import { DenoiseDelete } from "./denoise-delete.js";
import { DenoiseJob } from "./denoise-job.js";

/** @type {Record<string, () => Promise<CustomElementConstructor>>} */
const onDemand = {
  "denoise-player": async () => (await import("./denoise-player.js")).DenoisePlayer,
  "denoise-upload": async () => (await import("./denoise-upload.js")).DenoiseUpload,
  "denoise-waveform": async () => (await import("./denoise-waveform.js")).DenoiseWaveform,
};

/**
 * @param {string} name
 * @param {CustomElementConstructor} element
 */
function define(name, element) {
  if (!customElements.get(name)) customElements.define(name, element);
}

/** @param {ParentNode} root */
function load(root) {
  const templates = [...root.querySelectorAll("template")];
  for (const [name, loaded] of Object.entries(onDemand)) {
    const found = root.querySelector(name) ?? templates.find((it) => it.content.querySelector(name));
    if (!found) continue;
    delete onDemand[name];
    void loaded().then((element) => define(name, element));
  }
}

define("denoise-job", DenoiseJob);
define("denoise-delete", DenoiseDelete);
load(document);
// A site's own script may add elements later.
const added = new MutationObserver(() => {
  load(document);
  if (Object.keys(onDemand).length === 0) added.disconnect();
});
added.observe(document.documentElement, { childList: true, subtree: true });
