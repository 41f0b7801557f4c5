/** The entry of the listening page: defines its element, once, however often it is loaded. */

import { DenoiseComparison } from "../denoise-comparison.js";

const NAME = "denoise-comparison";

if (!customElements.get(NAME)) customElements.define(NAME, DenoiseComparison);
