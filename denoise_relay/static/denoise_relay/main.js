/** The page's entry: defines the custom elements, once, however often it is loaded. */

import { DenoiseDelete } from "./denoise-delete.js";
import { DenoiseJob } from "./denoise-job.js";
import { DenoisePlayer } from "./denoise-player.js";
import { DenoiseUpload } from "./denoise-upload.js";
import { DenoiseWaveform } from "./denoise-waveform.js";

const elements = {
  "denoise-player": DenoisePlayer,
  "denoise-job": DenoiseJob,
  "denoise-upload": DenoiseUpload,
  "denoise-delete": DenoiseDelete,
  "denoise-waveform": DenoiseWaveform,
};

for (const [name, element] of Object.entries(elements)) {
  if (!customElements.get(name)) customElements.define(name, element);
}
