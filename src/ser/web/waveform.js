/** The recording's sound as peaks: decoded by the browser, and kept no finer than a screen can show. */

const BUCKETS = 4096;
const MOST_BYTES = 2 ** 30;
/** Of float32 samples: beyond, a page would run out of memory. 46 minutes of stereo at 48 kHz. */

/**
 * @typedef {{low: Float32Array, high: Float32Array, seconds: number}} Peaks
 *   lowest and highest sample, full scale 1, of equal stretches of time
 */

/**
 * @param {Blob} blob
 * @param {{seconds: number, sample_rate: number, channels: number}} record
 * @returns {Promise<Peaks | null>} null: this browser cannot decode it, or it is too long
 */
export async function decodePeaks(blob, record) {
  if (4 * record.seconds * record.sample_rate * record.channels > MOST_BYTES) return null;
  try {
    const rate = Math.min(96_000, Math.max(8_000, record.sample_rate)); // its own: nothing is resampled
    const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
    return { ...peaksOf(channels, BUCKETS), seconds: buffer.duration };
  } catch {
    return null;
  }
}

/**
 * @param {Float32Array[]} channels
 * @param {number} most buckets
 * @returns {{low: Float32Array, high: Float32Array}} over all channels; a bucket is at least one sample
 */
export function peaksOf(channels, most) {
  const length = channels[0].length;
  const buckets = Math.max(1, Math.min(most, length));
  const low = new Float32Array(buckets);
  const high = new Float32Array(buckets);
  for (const samples of channels) {
    for (let bucket = 0; bucket < buckets; bucket++) {
      const end = Math.floor(((bucket + 1) * length) / buckets);
      for (let index = Math.floor((bucket * length) / buckets); index < end; index++) {
        if (samples[index] < low[bucket]) low[bucket] = samples[index];
        if (samples[index] > high[bucket]) high[bucket] = samples[index];
      }
    }
  }
  return { low, high };
}
