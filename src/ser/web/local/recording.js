/** The samples of a file, read directly or decoded by the browser. */

import { PcmRecording } from "./pcm.js";

/** Samples that a decoder has written out. */
class DecodedRecording {
  /**
   * @param {Float32Array[]} decoded one for each channel
   * @param {import("./containers.js").Container} container
   */
  constructor(decoded, { name, rate }) {
    this.name = name;
    this.rate = rate;
    this.channels = decoded.length;
    this.length = decoded[0].length;
    this.decoded = decoded;
  }

  /**
   * @param {number} first sample
   * @param {number} last the first after the last
   * @returns {Float32Array[]}
   */
  samples(first, last) {
    return this.decoded.map((channel) => channel.subarray(first, last));
  }
}

/**
 * @typedef {object} Opened the message from the page to the worker thread
 * @property {import("./containers.js").Container} container
 * @property {Uint8Array} [bytes] of a file whose container has a layout
 * @property {Float32Array[]} [decoded] of any other
 */

/**
 * @param {Opened} opened
 * @returns {import("./screening.js").Recording}
 */
export function recordingOf({ container, bytes, decoded }) {
  if (decoded) return new DecodedRecording(decoded, container);
  if (bytes && container.layout) return new PcmRecording(bytes, container, container.layout);
  throw new TypeError("neither samples nor a layout of them");
}
