/**
 * The entry of the upload page: defines its element before the page counts as loaded. Loaded on
 * demand, it may come after a person has chosen a file, and would forget it.
 */

import { DenoiseUpload } from "../denoise-upload.js";

const NAME = "denoise-upload";

if (!customElements.get(NAME)) customElements.define(NAME, DenoiseUpload);
