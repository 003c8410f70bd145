// What the sound thread runs: samples of a microphone, gathered to pieces of 16-bit numbers.

class Microphone extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.piece = new Int16Array(processorOptions.piece);
    this.filled = 0;
  }

  process([channels]) {
    for (const value of channels[0] ?? []) {
      this.piece[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
