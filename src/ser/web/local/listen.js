/** From a decoded recording to its record: `Predictor.predict` of `ser.inference.predictor`. */

import { curves } from "./attention.js";
import { layOut, weigh } from "./plan.js";
import { recordOf } from "./record.js";
import { recordingOf } from "./recording.js";
import { scan } from "./screening.js";
import { mixDown, prepare } from "./waveform.js";

/** Share of the work that is speech detection by silero. */
const VOICE_SHARE = 0.3;

/**
 * @typedef {object} Ear
 * @property {import("./files.js").Facts} facts
 * @property {(waveform: Float32Array) => Promise<import("./network.js").Heard>} network
 * @property {import("./vad_silero.js").Detector | null} silero null: speech is detected by energy
 */

/**
 * @param {import("./recording.js").Opened} opened
 * @param {string} fileName
 * @param {Ear} ear
 * @param {(fraction: number) => Promise<void>} progress rejects where the work is to stop
 * @returns {Promise<import("../result.js").Answer>} the record
 * @throws {import("../errors.js").PredictionError}
 */
export async function listen(opened, fileName, { facts, network, silero }, progress) {
  const recording = recordingOf(opened);
  const found = scan(recording, fileName);
  const share = silero ? VOICE_SHARE : 0;
  const voiced = silero && (await silero(recording, found.hop, found.power.length, (fraction) => progress(share * fraction)));
  if (voiced && !voiced.includes(1)) found.warnings.push("no-speech");
  const plan = layOut(recording, found, voiced, facts);
  /** @type {(import("./attention.js").Window & import("./network.js").Heard)[]} */
  const heard = [];
  for (const [first, last] of plan.spans) {
    await progress(share + ((1 - share) * heard.length) / plan.spans.length);
    const { waveform, start } = prepare(mixDown(recording.samples(first, last)), recording.rate, facts.audio);
    const from = first / recording.rate;
    heard.push({ ...(await network(waveform)), start: from + start, reach: [from, last / recording.rate] });
  }
  await progress(1);
  const cells = weigh(
    heard.map(({ probabilities }) => probabilities),
    plan,
  );
  const attention = curves(heard, recording.length / recording.rate, facts.attention_rate);
  return { ...recordOf(recording, found, plan, cells, facts), voice: voiced ? "silero" : "energy", attention };
}
