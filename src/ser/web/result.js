/**
 * One record on the page: the answer, its probabilities, its time.
 *
 * @typedef {object} Judgement
 * @property {string} emotion
 * @property {number} confidence
 * @property {Record<string, number>} probabilities in the model's order
 *
 * @typedef {Judgement & {start: number, end: number}} Passage from some second to another
 *
 * @typedef {object} Facts
 * @property {number} seconds
 * @property {number} speech_seconds
 * @property {number} sample_rate Hz
 * @property {number} channels
 * @property {string | null} container
 * @property {string | null} voice the speech detector
 * @property {string[]} warnings
 * @property {Passage[]} segments neighbouring passages with the same answer as one
 * @property {Passage[]} timeline
 * @property {Record<string, {rate: number, weights: number[]}> | null} attention
 * @property {null} reason
 * @property {null} detail
 * @property {{classes: string[], licence: string, threshold: number | null, weights: string}} model
 *
 * @typedef {Judgement & Facts} Answer the record of `POST /v1/predict`
 * @typedef {{name: string, blob: Blob, recorded: boolean, record: Answer, peaks: import("./waveform.js").Peaks | null}} Answered
 */

import { barTable } from "./bars.js";
import { passageAt } from "./columns.js";
import { find, make, save } from "./dom.js";
import { makePlayer } from "./player.js";
import { said, timeChart } from "./timeline.js";
import { clock, percent, percentsApart, ranked, spoken, UNKNOWN, warning } from "./words.js";

const MOST_ROWS = 2000;
const ANNOUNCE_AFTER = 500; // ms without another move

let close = () => {};
let pause = () => {};
let redraw = () => {};

new ResizeObserver(() => redraw()).observe(find("#chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

/** Stop the sound of the last record and hide it. */
export function hideResult() {
  close();
  close = pause = redraw = () => {};
  find("#result").hidden = true;
}

/** So that the microphone does not record it. */
export function pausePlayer() {
  pause();
}

/** @param {Answered} entry */
export function showResult(entry) {
  hideResult();
  const { record } = entry;
  find("#result").hidden = false;
  find("#result-title").textContent = entry.name;
  showAnswer(record);
  showWarnings(record);
  showTime(entry, showBars(record));
  showPassages(record);
  showFacts(record);
  find("#save").onclick = () => save(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }), `${stem(entry.name)}.json`);
  find("#save-sound").hidden = !entry.recorded;
  find("#save-sound").onclick = () => save(entry.blob, `${stem(entry.name)}.wav`);
}

/** @param {string} name of a file */
const stem = (name) => name.replace(/\.[^.]*$/, "") || "recording";

/** @param {Answer} record */
function showAnswer(record) {
  find("#answer").dataset.emotion = record.emotion;
  find("#answer strong").textContent = record.emotion;
  find("#confidence").textContent = record.emotion === UNKNOWN ? "" : `${percent(record.confidence)} confident`;
  find("#meaning").textContent = meaning(record);
}

/**
 * Without `no-speech` if there is no timeline: the meaning of the answer says so.
 * @param {Answer} record
 */
function showWarnings({ warnings, timeline }) {
  const told = warnings.filter((code) => timeline.length || code !== "no-speech");
  find("#warnings").replaceChildren(...told.map((code) => make("li", {}, warning(code))));
}

/**
 * None without speech: the probabilities for noise have no meaning.
 * @param {Answer} record
 */
function showBars(record) {
  const bars = barTable(record.probabilities, record.emotion, record.model.threshold, record.timeline.length > 1);
  find("#bars").replaceChildren(...(record.timeline.length ? [bars.element] : []));
  return bars;
}

/**
 * @param {Answer} record
 * @returns {string} what the answer means, in a sentence or two
 */
function meaning(record) {
  if (!record.timeline.length) return "No speech was found in the recording. Without speech there is no emotion to predict.";
  /** @type {[string, number]} */
  const none = ["", 0];
  const [[likeliest, share], [second, other]] = [...ranked(record.probabilities), none];
  const over = record.timeline.length > 1 ? `, over ${spoken(record.speech_seconds)} of speech` : "";
  if (record.emotion !== UNKNOWN) return second ? `Next is ${second} with ${percent(other)}${over}.` : "";
  const [reached, least] = percentsApart(share, record.model.threshold ?? 1);
  return `The likeliest is ${likeliest} with ${reached}${over}: less than the ${least} that this model needs for an answer. Unknown means that the model does not know, and not that there is no emotion.`;
}

/**
 * Chart and player, which move each other.
 * @param {Answered} entry
 * @param {{choose: (cell: Passage | undefined) => void}} bars
 */
function showTime(entry, bars) {
  const { record } = entry;
  const announcer = makeAnnouncer();
  /** @type {(seconds: number, playing: boolean) => void} */
  const moved = (seconds, playing) => {
    /** @type {Passage | undefined} */
    const cell = passageAt(record.timeline, seconds);
    chart.show(seconds, playing);
    bars.choose(cell);
    find("#clock").textContent = `${clock(seconds)} / ${clock(record.seconds)}`;
    find("#moment").textContent = record.timeline.length ? momentText(cell) : "";
    if (!playing) announcer.tell(seconds, cell);
  };
  const player = makePlayer(entry.blob, record.seconds, { moved, changed, unplayable });
  const chart = timeChart(record, entry.peaks, player);
  find("#play").disabled = false;
  find("#play").onclick = player.toggle;
  find("#unplayable").textContent = "";
  find("#chart-title").textContent = caption(record);
  changed(false);
  moved(0, true);
  find("#moment").textContent = record.timeline.length ? "Choose a moment: click on the chart, or use the arrow keys there." : "";
  chart.redraw();
  redraw = chart.redraw;
  pause = player.pause;
  close = () => {
    announcer.close();
    player.close();
  };
}

/** @param {boolean} playing */
function changed(playing) {
  find("#play").textContent = playing ? "Pause" : "Play";
}

function unplayable() {
  find("#play").disabled = true;
  find("#unplayable").textContent = "This browser cannot play the file.";
}

/** Announces the chosen moment to screen readers, after it has not changed for a while. */
function makeAnnouncer() {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @param {string} text */
  const say = (text) => {
    find("#moment-status").textContent = text;
  };
  say("");
  return {
    /** @type {(seconds: number, cell: Passage | undefined) => void} */
    tell: (seconds, cell) => {
      clearTimeout(timer);
      timer = setTimeout(() => say(`${spoken(seconds)}: ${inFull(cell)}`), ANNOUNCE_AFTER);
    },
    close: () => clearTimeout(timer),
  };
}

/** @param {Passage | undefined} cell */
function momentText(cell) {
  return cell ? `${clock(cell.start)} to ${clock(cell.end)}: ${said(cell)}` : "No speech here.";
}

/**
 * @param {Passage | undefined} cell
 * @returns {string} all probabilities that are not displayed as 0 %
 */
function inFull(cell) {
  if (!cell) return "no speech";
  const parts = ranked(cell.probabilities)
    .filter(([, share]) => share >= 0.005)
    .map(([name, share]) => `${name} ${percent(share)}`);
  return `${cell.emotion === UNKNOWN ? "unknown; " : ""}${parts.join(", ")}`;
}

/** @param {Answer} record */
function caption(record) {
  if (!record.timeline.length) return "";
  const likeliest = new Set(record.timeline.map((cell) => ranked(cell.probabilities)[0][0]));
  const curves = Object.keys(record.attention ?? {}).length;
  return [
    "The height is the probability of an emotion; it is pale where the emotion is not the answer.",
    likeliest.size < Object.keys(record.probabilities).length ? "An emotion that is nowhere the likeliest has no lane." : "",
    "Silence is left out.",
    curves ? "Below, the model's attention: the height is the weight of a moment; the dashed line is the average." : "",
    curves > 1 ? "Each part of the model has its own attention; the weights of the parts are not shown." : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * The table is made when it is opened.
 * @param {Answer} record
 */
function showPassages(record) {
  const details = find("#passages");
  details.hidden = !record.timeline.length;
  details.open = false;
  details.ontoggle = () => details.open && find("#passages .scroll").replaceChildren(passageTable(record));
  find("#passages .scroll").replaceChildren();
}

/** @param {Answer} record */
function passageTable(record) {
  const head = ["from", "to", "emotion", "confidence"].map((name) => make("th", { scope: "col" }, name));
  const rows = record.segments
    .slice(0, MOST_ROWS)
    .map((segment) =>
      make(
        "tr",
        {},
        ...[clock(segment.start), clock(segment.end), segment.emotion, percent(segment.confidence)].map((text) => make("td", {}, text)),
      ),
    );
  const more = record.segments.length - rows.length;
  const title = `Neighbouring moments with the same answer are one row.${more > 0 ? ` ${more} more are in the saved answer.` : ""}`;
  return make("table", {}, make("caption", {}, title), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

/** @type {Record<string, string>} */
const DETECTORS = { silero: "Silero VAD", energy: "loudness" };

/** @param {Answer} record */
function showFacts(record) {
  const facts = {
    "length": spoken(record.seconds),
    "speech": spoken(record.speech_seconds) + (record.voice ? ` (told from silence by ${DETECTORS[record.voice] ?? record.voice})` : ""),
    "sample rate": `${record.sample_rate / 1000} kHz`,
    "channels": String(record.channels),
    "format": record.container ?? "samples",
    "model": record.model?.weights ?? "",
  };
  const known = Object.entries(facts).filter(([, value]) => value);
  find("#facts dl").replaceChildren(...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}
