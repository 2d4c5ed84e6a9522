/** The microphone: from permission to a WAV file. */

import { PredictionError } from "./errors.js";
import { encodeWav } from "./wav.js";

/** As it sounds, and not as a telephone call would clean it: the model was trained on untouched speech. */
const UNTOUCHED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };

/** @type {Record<string, string>} name of an error -> code */
const REFUSALS = {
  NotAllowedError: "microphone-refused",
  SecurityError: "microphone-refused",
  NotFoundError: "microphone-missing",
  OverconstrainedError: "microphone-missing",
  NotReadableError: "microphone-busy",
  AbortError: "microphone-busy",
};

/**
 * @param {(peak: number, seconds: number) => void} heard for each block: its highest sample from 0 to 1, and how much there is by now
 * @param {() => void} lost the microphone is gone, for example unplugged
 * @returns {Promise<{stop: () => Promise<Blob>, discard: () => void}>} of a recording that has begun
 * @throws {PredictionError}
 */
export async function record(heard, lost) {
  const stream = await open();
  /** @type {AudioContext | undefined} */
  let context;
  try {
    context = new AudioContext();
    return await begin(stream, context, heard, lost);
  } catch (error) {
    close(stream, context);
    throw error instanceof PredictionError ? error : new PredictionError("microphone-unsupported", String(error));
  }
}

/**
 * As `record`, of an open microphone; closing it after an error is left to the caller.
 * @param {MediaStream} stream
 * @param {AudioContext} context
 * @param {(peak: number, seconds: number) => void} heard
 * @param {() => void} lost
 */
async function begin(stream, context, heard, lost) {
  stream.getAudioTracks()[0].onended = lost;
  await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url).href).catch((error) => {
    throw new PredictionError("recorder-missing", error.message);
  });
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const blocks = collect(node, context.sampleRate, heard);
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return {
    stop: async () => {
      node.port.postMessage("stop");
      const all = await blocks;
      close(stream, context);
      return encodeWav(all, context.sampleRate);
    },
    discard: () => close(stream, context),
  };
}

/**
 * @returns {Promise<MediaStream>}
 * @throws {PredictionError}
 */
async function open() {
  if (!window.isSecureContext) throw new PredictionError("microphone-insecure");
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) throw new PredictionError("microphone-unsupported");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: UNTOUCHED });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    throw new PredictionError(REFUSALS[name] ?? "microphone-busy", message);
  }
}

/**
 * @param {AudioWorkletNode} node
 * @param {number} rate Hz
 * @param {(peak: number, seconds: number) => void} heard
 * @returns {Promise<Float32Array[]>} all blocks, when the node says that it was the last
 */
function collect(node, rate, heard) {
  /** @type {Float32Array[]} */
  const blocks = [];
  let count = 0;
  return new Promise((resolve) => {
    node.port.onmessage = (/** @type {MessageEvent<Float32Array | null>} */ { data: block }) => {
      if (!block) return resolve(blocks);
      blocks.push(block);
      count += block.length;
      heard(
        block.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0),
        count / rate,
      );
    };
  });
}

/**
 * @param {MediaStream} stream
 * @param {AudioContext} [context]
 */
function close(stream, context) {
  stream.getTracks().forEach((track) => track.stop());
  context?.close();
}
