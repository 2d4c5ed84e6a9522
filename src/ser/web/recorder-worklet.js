/** Runs in the audio thread: passes the microphone's samples on as mono blocks until it is stopped. */

const BLOCK = 2048;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
    this.running = true;
    this.port.onmessage = () => {
      this.running = false;
      this.flush();
      this.port.postMessage(null); // the end
    };
  }

  /**
   * @param {Float32Array[][]} inputs [input][channel], 128 samples; no channel while the source is silent
   * @returns {boolean} whether to go on
   */
  process([channels]) {
    if (!this.running) return false;
    const length = channels.length ? channels[0].length : 0;
    for (let index = 0; index < length; index++) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === BLOCK) this.flush();
    }
    return true;
  }

  flush() {
    if (!this.filled) return;
    const block = this.block.slice(0, this.filled);
    this.filled = 0;
    this.port.postMessage(block, [block.buffer]);
  }
}

registerProcessor("recorder", Recorder);
