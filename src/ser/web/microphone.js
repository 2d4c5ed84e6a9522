/** The part of the page that records: buttons, level, time. */

import { find } from "./dom.js";
import { fit } from "./draw.js";
import { record } from "./recorder.js";
import { clock } from "./words.js";

const HUSH = 2; // seconds without a sound before the page says so
const FAINT = 0.003; // -50 dBFS
const FLOOR = -60; // dBFS, the lowest level that is drawn

/**
 * @param {{limit: () => number, mayAsk: () => boolean, asking: () => void, begun: () => void, ended: () => void, done: (file: File) => void, failed: (error: unknown) => void,
 *   say: (text: string) => void}} page limit: seconds that a recording may last
 */
export function startMicrophone(page) {
  /** @type {Awaited<ReturnType<typeof record>> | null} */
  let running = null;
  /** @type {number[]} */
  const levels = [];
  const end = () => {
    const ended = running;
    running = null;
    page.ended();
    return ended;
  };
  const finish = async () => {
    const recording = running && end();
    if (!recording) return;
    const blob = await recording.stop();
    page.done(new File([blob], `recording-${stamp(new Date())}.wav`, { type: blob.type }));
  };
  /** @type {(peak: number, seconds: number) => void} */
  const heard = (peak, seconds) => {
    if (!running) return;
    levels.push(peak);
    find("#recorded").textContent = clock(seconds, 0);
    drawLevels(levels);
    hush(levels, seconds);
    if (seconds >= page.limit()) finish();
  };
  find("#record").onclick = async () => {
    if (!page.mayAsk()) return;
    page.asking();
    find("#record").disabled = true;
    levels.length = 0;
    try {
      running = await record(heard, finish);
      page.begun();
      page.say("Recording.");
      begin(page.limit());
    } catch (error) {
      page.failed(error);
      page.ended();
    } finally {
      find("#record").disabled = false;
    }
  };
  find("#stop").onclick = finish;
  find("#discard").onclick = () => {
    end()?.discard();
    page.say("Discarded.");
    find("#record").focus();
  };
}

/** @param {number} limit seconds */
function begin(limit) {
  find("#hush").textContent = "";
  find("#recorded").textContent = clock(0, 0);
  find("#limit").textContent = `of ${clock(limit, 0)} at most`;
  find("#stop").focus(); // the disabled button has lost it
}

/** @param {Date} date */
function stamp(date) {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join("-");
}

/**
 * @param {number[]} levels
 * @param {number} seconds
 */
function hush(levels, seconds) {
  const recent = levels.slice(Math.floor(levels.length * Math.max(0, 1 - HUSH / seconds)));
  const faint = seconds >= HUSH && Math.max(...recent) < FAINT;
  const text = faint ? "Nothing is heard. Is the microphone muted?" : "";
  if (find("#hush").textContent !== text) find("#hush").textContent = text;
}

/**
 * The last levels as columns, the newest at the right.
 * @param {number[]} levels
 */
function drawLevels(levels) {
  const { pen, width, height, colour } = fit(find("#level"));
  const step = 4 * (window.devicePixelRatio || 1);
  pen.fillStyle = colour("accent");
  levels
    .slice(-Math.floor(width / step))
    .reverse()
    .forEach((peak, index) => {
      const share = Math.max(0, 1 - (20 * Math.log10(Math.max(peak, 1e-9))) / FLOOR);
      const high = Math.max(step / 2, share * height);
      pen.fillRect(width - (index + 1) * step, (height - high) / 2, step * 0.6, high);
    });
}
