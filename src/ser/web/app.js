/** The page: its queue of recordings, their progress and their results. */

import { find, make, withCode } from "./dom.js";
import { asPredictionError, mayPass, PredictionError, sentence } from "./errors.js";
import { startMicrophone } from "./microphone.js";
import { about, predict, WHERE } from "./predictor.js";
import { hideResult, pausePlayer, showResult } from "./result.js";
import { decodePeaks } from "./waveform.js";
import { listed, percent, size, spoken, UNKNOWN } from "./words.js";

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {Blob} blob
 * @property {boolean} recorded here, with the microphone
 * @property {boolean} folder
 * @property {"waiting" | "working" | "done" | "failed" | "cancelled"} state
 * @property {import("./result.js").Answer} [record]
 * @property {PredictionError} [error]
 * @property {import("./waveform.js").Peaks | null} [peaks]
 */

const MOST_RECORDED = 60; // seconds

/** @type {Entry[]} in the order in which they were given */
const entries = [];
/** @type {Entry | null} */
let shown = null;
/** @type {AbortController | null} */
let work = null;
/** @type {Awaited<ReturnType<typeof about>>} */
let model = { classes: [], licence: "", threshold: null, maxBytes: null, maxSeconds: null, where: WHERE };

/** @type {"idle" | "asking" | "recording" | "working"} asking: whether the microphone may be used. One at a time: what is given meanwhile waits. */
let state = "idle";

const PARTS = { idle: "choose", asking: "choose", recording: "recording", working: "working" };
const FIRST = { idle: "#file", asking: "#file", recording: "#stop", working: "#cancel" };

/**
 * Show the part of the page for a state; a focus in the old part moves to the new one.
 * @param {typeof state} next
 */
function turnTo(next) {
  state = next;
  const inside = find("#give").contains(document.activeElement);
  for (const part of Object.values(PARTS)) find(`#${part}`).hidden = part !== PARTS[state];
  find("#asking").hidden = state !== "asking";
  if (inside) find(FIRST[state]).focus();
}

/** @param {string} text */
function say(text) {
  find("#status").textContent = text;
}

/**
 * @param {File[]} files
 * @param {{recorded?: boolean, folders?: Set<string>}} [known] folders: names of those that are none
 */
function give(files, { recorded = false, folders = new Set() } = {}) {
  /** @type {Entry[]} */
  const given = files.map((blob) => ({ name: blob.name, blob, recorded, folder: folders.has(blob.name), state: "waiting" }));
  entries.push(...given);
  if (given.length) show(given[0]);
  goOn();
}

function goOn() {
  if (state === "idle" && entries.some(waits)) handle();
}

/** @param {Entry} entry */
const waits = (entry) => entry.state === "waiting";

/** Process the recordings one after the other. */
async function handle() {
  work = new AbortController();
  turnTo("working");
  say(`${entries.find(waits)?.name}: predicting`);
  for (let entry = entries.find(waits); entry; entry = entries.find(waits)) {
    entry.state = "working";
    list();
    await listen(entry, work.signal);
    list();
    if (shown === entry) show(entry);
  }
  work = null;
  turnTo("idle");
  find(shown?.state === "done" ? "#answer" : "#alert").scrollIntoView({ block: "nearest" });
}

/**
 * @param {Entry} entry whose state, record and error are set
 * @param {AbortSignal} signal
 */
async function listen(entry, signal) {
  try {
    await checkFile(entry);
    if (model.maxBytes && entry.blob.size > model.maxBytes) {
      throw new PredictionError("too-large", `${size(entry.blob.size)}; at most ${size(model.maxBytes)}`);
    }
    advance(entry, 0);
    entry.record = await predict(entry.blob, { signal, progress: (/** @type {number} */ fraction) => advance(entry, fraction) });
    entry.peaks = await decodePeaks(entry.blob, entry.record);
    entry.state = "done";
  } catch (error) {
    entry.state = signal.aborted ? "cancelled" : "failed";
    entry.error = signal.aborted ? undefined : asPredictionError(error);
  }
}

/**
 * Checked first, because an upload of a file that cannot be read fails like a lost connection.
 * @param {Entry} entry
 * @throws {PredictionError}
 */
async function checkFile({ blob, folder }) {
  if (folder) throw new PredictionError("not-a-file");
  const first = blob.size ? blob.slice(0, 1) : blob; // a deleted file may appear empty until it is read
  await first.arrayBuffer().catch((error) => {
    throw new PredictionError("unreadable", error.message);
  });
}

/**
 * @param {Entry} entry
 * @param {number} fraction of the work
 */
function advance(entry, fraction) {
  const bar = find("#progress");
  const sending = model.where === "service" && fraction < 1;
  find("#working-text").textContent = `${sending ? "Sending" : "Predicting"} ${entry.name}`;
  if (fraction > 0 && fraction < 1) bar.value = fraction;
  else bar.removeAttribute("value");
}

/** @param {Entry} entry */
function show(entry) {
  shown = entry;
  find("#alert").replaceChildren();
  hideResult();
  if (entry.state === "done") {
    showResult(/** @type {import("./result.js").Answered} */ (entry));
    say(`${entry.name}: ${summary(entry)}`);
  } else if (entry.state === "failed" && entry.error) {
    complain(entry.error, entry.name, mayPass(entry.error) ? () => retry(entry) : undefined);
  } else {
    say(`${entry.name}: ${summary(entry)}`);
  }
  list();
}

/** @param {Entry} entry */
function retry(entry) {
  entry.state = "waiting";
  show(entry);
  goOn();
}

/** @param {Entry} entry */
function summary({ state, record }) {
  /** @type {Record<string, string>} */
  const states = { waiting: "waiting", working: "predicting", failed: "no answer", cancelled: "cancelled" };
  if (state !== "done" || !record) return states[state];
  if (!record.timeline.length) return "no speech";
  return record.emotion === UNKNOWN ? UNKNOWN : `${record.emotion}, ${percent(record.confidence)} confident`;
}

/**
 * @param {{reason: string, detail?: string}} error
 * @param {string} [name] of the file
 * @param {() => void} [again]
 */
function complain(error, name, again) {
  const parts = [make("p", {}, ...(name ? [make("strong", {}, name), ": "] : []), ...withCode(sentence(error)))];
  if (error.detail) parts.push(make("p", { className: "soft" }, `${error.reason}: ${error.detail}`));
  const onclick = async () => {
    await again?.();
    if (document.activeElement === document.body) find(FIRST[state]).focus(); // the button that had it is gone
  };
  if (again) parts.push(make("button", { type: "button", onclick }, "Try again"));
  find("#alert").replaceChildren(make("div", { className: "problem" }, ...parts));
}

/** Update the list of recordings: of several, or of one that is waiting. */
function list() {
  find("#list").hidden = entries.length < 2 && !entries.some(waits);
  const items = entries.map((entry) => {
    const button = make("button", { type: "button", onclick: () => show(entry) }, make("span", { className: "file" }, entry.name));
    const swatch = make("span", { className: "swatch", data: { emotion: entry.record?.emotion ?? "" } });
    button.append(make("span", { className: "came" }, ...(entry.record ? [swatch] : []), summary(entry)));
    if (entry === shown) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  });
  const focused = [...find("#list ol").children].findIndex((item) => item.contains(document.activeElement));
  find("#list ol").replaceChildren(...items);
  items[focused]?.firstChild.focus();
}

function cancel() {
  work?.abort();
  for (const entry of entries.filter(waits)) entry.state = "cancelled";
  say("Cancelled.");
}

/** Accept files that are dropped anywhere on the page. */
function acceptDrops() {
  let depth = 0; // of elements entered and not yet left
  /** @param {number} by */
  const cover = (by) => {
    depth = Math.max(0, depth + by);
    find("#drop").hidden = depth === 0;
  };
  /** @param {DragEvent} event */
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragenter", (event) => hasFiles(event) && cover(1));
  window.addEventListener("dragleave", (event) => hasFiles(event) && cover(-1));
  window.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    cover(-depth);
    give([...event.dataTransfer.files], { folders: foldersOf(event.dataTransfer) });
  });
}

/** @param {DataTransfer} dropped */
function foldersOf(dropped) {
  const found = [...dropped.items].map((item) => item.webkitGetAsEntry?.());
  return new Set(found.flatMap((each) => (each?.isDirectory ? [each.name] : [])));
}

async function introduce() {
  try {
    model = await about();
  } catch (error) {
    complain(asPredictionError(error), undefined, introduce);
    return;
  }
  find("#alert").replaceChildren();
  const { classes, licence, threshold, maxBytes, maxSeconds, where } = model;
  const limits = [maxBytes && size(maxBytes), maxSeconds && spoken(maxSeconds)].filter(Boolean);
  find("#limits").textContent = `WAV, AIFF, FLAC, Ogg Vorbis, Opus or MP3${limits.length ? `; at most ${limits.join(" and ")}` : ""}`;
  const refuses = threshold === null ? "" : ` Its answer is “unknown” if its confidence is below ${percent(threshold)}.`;
  find("#classes").textContent = `It distinguishes ${listed(classes)}.${refuses}`;
  find("#licence").textContent = licence;
  find("#runs").textContent =
    where === "browser"
      ? "It runs in this browser: the recording never leaves it."
      : `It runs on the service at ${location.host}: recordings go there, and nowhere else.`;
}

find("#file").addEventListener("change", (/** @type {any} */ event) => {
  give([...event.target.files]);
  event.target.value = ""; // the same file may be chosen again
});
find("#cancel").addEventListener("click", cancel);
acceptDrops();
startMicrophone({
  limit: () => Math.min(MOST_RECORDED, model.maxSeconds ?? MOST_RECORDED),
  mayAsk: () => state === "idle",
  asking: () => {
    pausePlayer();
    turnTo("asking");
  },
  begun: () => {
    if (!find("#alert button")) find("#alert").replaceChildren(); // another try stays on offer
    turnTo("recording");
  },
  ended: () => {
    turnTo("idle");
    goOn();
  },
  done: (file) => give([file], { recorded: true }),
  failed: (error) => complain(asPredictionError(error)),
  say,
});
introduce();
