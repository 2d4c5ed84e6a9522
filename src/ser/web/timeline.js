/**
 * Sound, emotions and attention over one axis of time, with a playhead that mouse and keys move.
 *
 * @typedef {import("./result.js").Answer} Answer
 * @typedef {{seek: (seconds: number) => void, toggle: () => void}} Player
 * @typedef {{name: HTMLElement, picture: HTMLElement, draw: () => void}} Lane
 */

import { passageAt, ticks } from "./columns.js";
import { find, make } from "./dom.js";
import { drawAttention, drawEmotion, drawWaveform } from "./draw.js";
import { clock, percent, ranked, spoken, UNKNOWN } from "./words.js";

const TICK_WIDTH = 72; // pixels between labels of the axis, at least
const LABEL_WIDTH = 50; // pixels of one
const STEPS = 50; // presses of an arrow key from one end to the other, about

/**
 * @param {Answer} record
 * @param {import("./waveform.js").Peaks | null} peaks
 * @param {Player} player
 * @returns {{show: (seconds: number, playing: boolean) => void, redraw: () => void}}
 */
export function timeChart(record, peaks, player) {
  const lanes = [...soundLane(record, peaks), ...emotionLanes(record), ...attentionLanes(record)];
  let now = 0;
  /** @type {import("./result.js").Passage | undefined} the one announced last */
  let told;
  const slider = makeSlider(record, player, () => now);
  find("#chart .lanes").replaceChildren(...lanes.flatMap((lane) => [lane.name, lane.picture]), slider);
  const redraw = () => {
    for (const each of lanes) each.draw();
    drawAxis(record.seconds);
  };
  /** @type {(seconds: number, playing: boolean) => void} */
  const show = (seconds, playing) => {
    now = seconds;
    /** @type {HTMLElement} */ (slider.firstChild).style.left = `${(100 * seconds) / record.seconds}%`;
    const cell = passageAt(record.timeline, seconds);
    if (playing && cell === told && slider.hasAttribute("aria-valuenow")) return; // not with each picture
    told = cell;
    slider.setAttribute("aria-valuenow", seconds.toFixed(2));
    slider.setAttribute("aria-valuetext", `${spoken(seconds)}, ${said(cell)}`);
  };
  return { show, redraw };
}

/** @param {{emotion: string, confidence: number, probabilities: Record<string, number>} | undefined} cell */
export function said(cell) {
  if (!cell) return "no speech";
  if (cell.emotion !== UNKNOWN) return `${cell.emotion} ${percent(cell.confidence)}`;
  return `unknown, most likely ${ranked(cell.probabilities)[0][0]} ${percent(cell.confidence)}`;
}

/**
 * @param {string} name
 * @param {string} className
 * @param {(canvas: HTMLCanvasElement) => void} draw
 * @param {string} described in words
 * @returns {Lane}
 */
function lane(name, className, draw, described) {
  const canvas = make("canvas", { className: `lane ${className}`, role: "img", "aria-label": described });
  return { name: make("div", { className: `lane-name ${className}`, title: name }, name), picture: canvas, draw: () => draw(canvas) };
}

/**
 * @param {Answer} record
 * @param {import("./waveform.js").Peaks | null} peaks
 * @returns {Lane[]}
 */
function soundLane(record, peaks) {
  if (peaks) return [lane("sound", "wave", (canvas) => drawWaveform(canvas, peaks, record), `Waveform of ${spoken(record.seconds)}`)];
  const why = `This browser cannot show the sound of this file (${record.container ?? "unknown format"}). This does not affect the answer.`;
  return [
    { name: make("div", { className: "lane-name" }, "sound"), picture: make("p", { className: "lane wave none" }, why), draw: () => {} },
  ];
}

/**
 * One for each answer, and for what is likeliest where the answer is unknown.
 * @param {Answer} record
 * @returns {Lane[]}
 */
function emotionLanes(record) {
  const answers = new Set(record.timeline.flatMap((cell) => [cell.emotion, ranked(cell.probabilities)[0][0]]));
  const order = [...Object.keys(record.probabilities), UNKNOWN].filter((name) => answers.has(name));
  return order.map((name) => {
    const share = record.timeline.filter((cell) => cell.emotion === name).reduce((sum, cell) => sum + cell.end - cell.start, 0);
    const made = lane(
      name,
      "emotion",
      (canvas) => drawEmotion(canvas, name, record),
      `${name}: ${share ? `the answer for ${spoken(share)}` : "never the answer"}`,
    );
    made.name.dataset.emotion = made.picture.dataset.emotion = name;
    made.name.prepend(make("span", { className: "swatch" }));
    return made;
  });
}

/**
 * All on one scale; none without speech.
 * @param {Answer} record
 * @returns {Lane[]}
 */
function attentionLanes(record) {
  const curves = record.timeline.length ? Object.entries(record.attention ?? {}) : [];
  const highest = curves.reduce((most, [, { weights }]) => weights.reduce((a, b) => Math.max(a, b), most), 1e-9);
  return curves.map(([name, curve]) => {
    const most = curve.weights.indexOf(curve.weights.reduce((a, b) => Math.max(a, b), 0)) / curve.rate;
    const [label, who] = curves.length > 1 ? [`attention: ${name}`, `the model's part ${name}`] : ["attention", "the model"];
    /** @param {HTMLCanvasElement} canvas */
    const draw = (canvas) => drawAttention(canvas, curve, record.seconds, highest);
    return lane(label, "attention", draw, `Attention of ${who}: highest at ${spoken(most)}`);
  });
}

/** @param {number} seconds */
function drawAxis(seconds) {
  const axis = find("#chart .axis");
  const marks = ticks(seconds, Math.max(1, axis.clientWidth / TICK_WIDTH));
  const fitting = marks.filter((time) => (1 - time / seconds) * axis.clientWidth >= LABEL_WIDTH);
  axis.replaceChildren(
    ...fitting.map((time) => {
      const mark = make("span", {}, clock(time, marks[1] < 1 ? 1 : 0));
      mark.style.left = `${(100 * time) / seconds}%`;
      return mark;
    }),
  );
}

/**
 * @param {Answer} record
 * @param {Player} player
 * @param {() => number} now seconds
 */
function makeSlider(record, player, now) {
  const range = { "aria-valuemin": "0", "aria-valuemax": record.seconds.toFixed(2), "aria-describedby": "chart-title" };
  const named = { role: "slider", tabIndex: 0, "aria-label": "Position in the recording", ...range };
  /** @type {HTMLElement} */
  const slider = make("div", { className: "slider", ...named }, make("div", { className: "playhead" }));
  slider.addEventListener("keydown", (event) => press(event, now(), record, player));
  /** @param {PointerEvent} event */
  const point = (event) => {
    const box = slider.getBoundingClientRect();
    player.seek(((event.clientX - box.left) / box.width) * record.seconds);
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return; // the menu's
    slider.setPointerCapture(event.pointerId);
    point(event);
  });
  slider.addEventListener("pointermove", (event) => slider.hasPointerCapture(event.pointerId) && point(event));
  return slider;
}

/**
 * Arrows move by a fiftieth or so, page keys by a passage, Home and End to the ends; the space bar plays.
 * @param {KeyboardEvent} event
 * @param {number} now seconds
 * @param {Answer} record
 * @param {Player} player
 */
function press(event, now, record, player) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = ticks(record.seconds, STEPS)[1] ?? record.seconds;
  const starts = record.segments.map((segment) => segment.start);
  /** @type {Record<string, () => number>} */
  const targets = {
    ArrowRight: () => now + step,
    ArrowUp: () => now + step,
    ArrowLeft: () => now - step,
    ArrowDown: () => now - step,
    PageDown: () => starts.find((start) => start > now + 0.01) ?? record.seconds,
    PageUp: () => starts.findLast((start) => start < now - 0.01) ?? 0,
    Home: () => 0,
    End: () => record.seconds,
  };
  if (event.key === " ") player.toggle();
  else if (targets[event.key]) player.seek(targets[event.key]());
  else return;
  event.preventDefault();
}
