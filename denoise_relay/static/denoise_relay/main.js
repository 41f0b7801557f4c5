/** The page's entry: defines the custom elements, once, whoever else loads this. */

import { DenoiseJob } from "./element.js";
import { DenoisePlayer } from "./player.js";
import { DenoiseUpload } from "./upload.js";

const elements = {
  "denoise-player": DenoisePlayer,
  "denoise-job": DenoiseJob,
  "denoise-upload": DenoiseUpload,
};

for (const [name, element] of Object.entries(elements)) {
  if (!customElements.get(name)) customElements.define(name, element);
}
