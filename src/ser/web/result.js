/** One record on the page: the answer, its probabilities, its time. */

import { barTable } from "./bars.js";
import { passageAt } from "./columns.js";
import { find, make, save } from "./dom.js";
import { makePlayer } from "./player.js";
import { said, timeChart } from "./timeline.js";
import { clock, percent, ranked, spoken, warning } from "./words.js";

const UNKNOWN = "unknown";
const MOST_ROWS = 2000;
const ANNOUNCE_AFTER = 500; // ms without another move

let close = () => {};
let redraw = () => {};

new ResizeObserver(() => redraw()).observe(find("#chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

/** Nothing more is heard or seen of the last record. */
export function hideResult() {
  close();
  close = redraw = () => {};
  find("#result").hidden = true;
}

/** @param {{name: string, blob: Blob, recorded: boolean, record: any, peaks: import("./waveform.js").Peaks | null}} entry */
export function showResult(entry) {
  hideResult();
  const { record } = entry;
  find("#result").hidden = false;
  find("#result-title").textContent = entry.name;
  showAnswer(record);
  find("#warnings").replaceChildren(...record.warnings.map((code) => make("li", {}, warning(code))));
  const bars = barTable(record.probabilities, record.emotion, record.model.threshold, record.timeline.length > 1);
  find("#bars").replaceChildren(bars.element);
  showTime(entry, bars);
  showPassages(record);
  showFacts(record);
  find("#save").onclick = () => save(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }), `${stem(entry.name)}.json`);
  find("#save-sound").hidden = !entry.recorded;
  find("#save-sound").onclick = () => save(entry.blob, `${stem(entry.name)}.wav`);
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || "recording";

/** @param {any} record */
function showAnswer(record) {
  find("#answer").dataset.emotion = record.emotion;
  find("#answer strong").textContent = record.emotion;
  find("#confidence").textContent = record.emotion === UNKNOWN ? "" : `${percent(record.confidence)} confident`;
  find("#meaning").textContent = meaning(record);
}

/** @returns {string} what the answer means, in a sentence or two */
function meaning(record) {
  if (!record.timeline.length) return "Unknown means here: without speech there is no emotion in a voice to tell.";
  const [[likeliest, share], [second, other]] = [...ranked(record.probabilities), ["", 0]];
  const over = record.timeline.length > 1 ? `, over ${spoken(record.speech_seconds)} of speech` : "";
  if (record.emotion !== UNKNOWN) return second ? `Next is ${second} with ${percent(other)}${over}.` : "";
  const least = `the ${percent(record.model.threshold ?? 1)} that this model needs`;
  return `The likeliest is ${likeliest} with ${percent(share)}${over}: less than ${least} for an answer. Unknown means that the model does not know, and not that there is no emotion.`;
}

/** Chart and player, which move each other. */
function showTime(entry, bars) {
  const { record } = entry;
  let timer = 0;
  const announce = (seconds, cell) => {
    clearTimeout(timer);
    timer = setTimeout(() => (find("#moment-status").textContent = `${spoken(seconds)}: ${inFull(cell)}`), ANNOUNCE_AFTER);
  };
  const moved = (seconds, playing) => {
    const cell = passageAt(record.timeline, seconds);
    chart.show(seconds);
    bars.choose(cell);
    find("#clock").textContent = `${clock(seconds)} / ${clock(record.seconds)}`;
    find("#moment").textContent = momentText(cell);
    if (!playing) announce(seconds, cell);
  };
  const changed = (playing) => (find("#play").textContent = playing ? "Pause" : "Play");
  const unplayable = () => {
    find("#play").disabled = true;
    find("#unplayable").textContent = "This browser cannot play the file.";
  };
  find("#play").disabled = false;
  find("#unplayable").textContent = find("#moment-status").textContent = "";
  const player = makePlayer(entry.blob, record.seconds, { moved, changed, unplayable });
  const chart = timeChart(record, entry.peaks, player);
  find("#chart-title").textContent = caption(record);
  find("#play").onclick = player.toggle;
  moved(0, true);
  find("#moment").textContent = "Choose a moment: click into the chart, or use the arrow keys there.";
  chart.redraw();
  redraw = chart.redraw;
  close = () => {
    clearTimeout(timer);
    player.close();
  };
}

function momentText(cell) {
  return cell ? `${clock(cell.start)} to ${clock(cell.end)}: ${said(cell)}` : "No speech here.";
}

/** @returns {string} all probabilities that are seen as more than nothing */
function inFull(cell) {
  if (!cell) return "no speech";
  const parts = ranked(cell.probabilities).filter(([, share]) => share >= 0.005).map(([name, share]) => `${name} ${percent(share)}`);
  return `${cell.emotion === UNKNOWN ? "unknown; " : ""}${parts.join(", ")}`;
}

function caption(record) {
  const heard = "The higher, the more probable an emotion is; pale where it is not the answer. Silence is left out.";
  const listened = Object.keys(record.attention ?? {}).length ? " Below, where the model listened: the higher, the more that moment weighed; the dashed line is the average." : "";
  return heard + listened;
}

/** The table is made when it is opened. */
function showPassages(record) {
  const details = find("#passages");
  details.open = false;
  details.ontoggle = () => details.open && find("#passages .scroll").replaceChildren(passageTable(record));
  find("#passages .scroll").replaceChildren();
}

function passageTable(record) {
  const head = ["from", "to", "emotion", "confidence"].map((name) => make("th", { scope: "col" }, name));
  const rows = record.segments.slice(0, MOST_ROWS).map((segment) =>
    make("tr", {}, ...[clock(segment.start), clock(segment.end), segment.emotion, percent(segment.confidence)].map((text) => make("td", {}, text))),
  );
  const more = record.segments.length - rows.length;
  const title = `Neighbouring moments with the same answer are one row.${more > 0 ? ` ${more} more are in the saved answer.` : ""}`;
  return make("table", {}, make("caption", {}, title), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

const DETECTORS = { silero: "Silero VAD", energy: "loudness" };

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
