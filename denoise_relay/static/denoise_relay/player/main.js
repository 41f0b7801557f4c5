/**
 * The entry of a job's page: defines the player before the page counts as loaded. Loaded on demand,
 * it may come after a person has pressed a button, which would do nothing.
 */

import { DenoisePlayer } from "../denoise-player.js";

const NAME = "denoise-player";

if (!customElements.get(NAME)) customElements.define(NAME, DenoisePlayer);
