/** From a decoded recording to its record: `Predictor.hear` of `ser.predict`. */

import { curves } from "./attention.js";
import { mixDown, prepare } from "./audio.js";
import { layOut, weigh } from "./plan.js";
import { recordOf } from "./record.js";
import { recordingOf } from "./recording.js";
import { scan } from "./screening.js";

/**
 * @param {import("./recording.js").Opened} opened
 * @param {string} fileName
 * @param {import("./files.js").Facts} facts
 * @param {(waveform: Float32Array, facts: import("./files.js").Facts) => Promise<import("./network.js").Heard>} network
 * @param {(fraction: number) => Promise<void>} progress rejects where the work is to stop
 * @returns {Promise<object>} the record
 * @throws {import("../errors.js").PredictionError}
 */
export async function listen(opened, fileName, facts, network, progress) {
  const recording = recordingOf(opened);
  const found = scan(recording, fileName);
  const plan = layOut(recording, found, facts.audio, facts);
  const heard = [];
  for (const [first, last] of plan.spans) {
    await progress(heard.length / plan.spans.length);
    const { waveform, start } = prepare(mixDown(recording.samples(first, last)), recording.rate, facts.audio);
    const from = first / recording.rate;
    heard.push({ ...(await network(waveform, facts)), start: from + start, reach: [from, last / recording.rate] });
  }
  await progress(1);
  const cells = weigh(heard.map(({ probabilities }) => probabilities), plan);
  return recordOf(recording, found, plan, cells, curves(heard, recording.length / recording.rate, facts.attention_rate), facts);
}
