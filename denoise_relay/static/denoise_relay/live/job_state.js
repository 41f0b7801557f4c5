/**
 * What a viewer knows about one job, and how frames change it. Pure: no DOM, no network.
 *
 * The server promises (docs/architecture.md, rule 2) that seq rises, pct never falls and exactly one
 * terminal frame comes last; transports may still repeat, skip or reorder, so this keeps the
 * promise whatever arrives.
 */

/**
 * @typedef {object} JobState
 * @property {string} job UUID
 * @property {number} seq number of the newest event seen; 0 before the first
 * @property {"processing"|"done"|"error"} stage
 * @property {string} status finer: queued, submitting, processing, done, error, canceled
 * @property {number} pct 0-100
 * @property {string} message
 * @property {string} url where the clean recording is; empty until done
 * @property {string} warning what people should know about a result; mostly empty
 */

const STAGES = new Set(["processing", "done", "error"]);
const ENDINGS = { done: new Set(["done"]), error: new Set(["error", "canceled"]) };

/**
 * @param {Partial<JobState> & {job: string}} known
 * @returns {JobState}
 */
export function initialState(known) {
  const stage = known.stage !== undefined && STAGES.has(known.stage) ? known.stage : "processing";
  return Object.freeze({
    job: known.job,
    seq: known.seq !== undefined && isSeq(known.seq) ? known.seq : 0,
    stage,
    status: statusFor(stage, known.status, "queued"),
    pct: stage === "done" ? 100 : percent(known.pct, 0),
    message: text(known.message),
    url: stage === "done" ? text(known.url) : "",
    warning: stage === "done" ? text(known.warning) : "",
  });
}

/** @param {JobState} state */
export function isTerminal(state) {
  return state.stage !== "processing";
}

/**
 * Apply one live frame. Returns the very same object when the frame changes nothing: an old
 * or repeated seq, another job, an unknown stage, or anything after the end.
 *
 * A lower seq counts in two cases, both after a database went back in time: the server says so
 * (`rewound`), or the frame is the end, which in one history has the greatest seq.
 * @param {JobState} state
 * @param {any} frame
 * @returns {JobState}
 */
export function applyFrame(state, frame) {
  if (!isFor(state, frame) || isTerminal(state)) return state;
  const back = isTerminal(frame) || (frame.rewound === true && frame.seq < state.seq);
  if (frame.seq <= state.seq && !back) return state;
  return advance(state, frame, statusFor(frame.stage, undefined, moving(state, frame)));
}

/**
 * Apply the answer of the status endpoint. It is a whole state read from the database, so the
 * same seq may still refine `status` (an error may turn out to be a cancel). Progress never goes
 * back: an answer may have been overtaken by frames. The end counts whatever its seq, as in a frame.
 * @param {JobState} state
 * @param {any} snapshot
 * @returns {JobState}
 */
export function applySnapshot(state, snapshot) {
  if (!isFor(state, snapshot)) return state;
  if (snapshot.seq < state.seq && (isTerminal(state) || !isTerminal(snapshot))) return state;
  if (isTerminal(state) && snapshot.stage !== state.stage) return state;
  const status = statusFor(snapshot.stage, snapshot.status, state.status);
  if (snapshot.seq === state.seq && status === state.status && snapshot.stage === state.stage) {
    return state;
  }
  return advance(state, snapshot, status);
}

/**
 * @param {JobState} state
 * @param {any} news
 * @param {string} status
 */
function advance(state, news, status) {
  return Object.freeze({
    job: state.job,
    seq: news.seq,
    stage: news.stage,
    status,
    pct: news.stage === "done" ? 100 : Math.max(state.pct, percent(news.pct, state.pct)),
    message: news.message === undefined ? state.message : text(news.message),
    url: news.stage === "done" ? text(news.url) || state.url : "",
    warning: news.stage === "done" ? text(news.warning) : "",
  });
}

/**
 * @param {JobState} state
 * @param {any} news
 */
function isFor(state, news) {
  return (
    typeof news === "object" &&
    news !== null &&
    news.job === state.job &&
    isSeq(news.seq) &&
    STAGES.has(news.stage)
  );
}

/**
 * A frame carries no status: the first percent shows that the waiting is over.
 * @param {JobState} state
 * @param {any} frame
 */
function moving(state, frame) {
  return percent(frame.pct, 0) > 0 ? "processing" : state.status;
}

/**
 * @param {JobState["stage"]} stage
 * @param {string|undefined} given
 * @param {string} fallback
 * @returns {string}
 */
function statusFor(stage, given, fallback) {
  if (stage === "processing") {
    return given === undefined || given === "" || isEnding(given) ? fallback : given;
  }
  return given !== undefined && ENDINGS[stage].has(given) ? given : stage;
}

/** @param {string} status */
function isEnding(status) {
  return ENDINGS.done.has(status) || ENDINGS.error.has(status);
}

/** @param {unknown} value */
function isSeq(value) {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * @param {unknown} value
 * @param {number} fallback
 */
function percent(value, fallback) {
  if (typeof value !== "number" || !Number.isFinite(value)) return fallback;
  return Math.min(100, Math.max(0, value));
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : "";
}
