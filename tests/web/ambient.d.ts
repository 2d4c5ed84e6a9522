/** What the page imports and this folder does not hold, and what the DOM library of TypeScript leaves out. */

/** `service.js` or `local.js`, whichever stands in its place. */
declare module "*/predictor.js" {
  export const WHERE: "service" | "browser";
  export function about(): Promise<{
    classes: string[];
    licence: string;
    threshold: number | null;
    maxBytes: number | null;
    maxSeconds: number | null;
    where: "service" | "browser";
  }>;
  export function predict(
    blob: Blob,
    options?: { signal?: AbortSignal; progress?: (fraction: number) => void },
  ): Promise<import("../../src/ser/web/result.js").Answer>;
}

/** onnxruntime-web, which `ser export --web` puts beside the page. */
declare module "*/onnxruntime/onnxruntime.js" {
  export const env: { wasm: { numThreads: number; wasmPaths: { wasm: string } } };
  export const InferenceSession: { create(content: Uint8Array, options: object): Promise<any> };
  export class Tensor {
    constructor(type: string, data: Float32Array | BigInt64Array, shape: number[]);
  }
}

/** Of the scope of audio worklets. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
