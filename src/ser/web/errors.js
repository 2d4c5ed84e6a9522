/** Sentences for the reasons why there is no answer. The codes are those of `ser.reasons`, and a few of the page's own. */

export class PredictionError extends Error {
  /**
   * @param {string} reason a code
   * @param {string} [detail] details from the program that refused it
   */
  constructor(reason, detail = "") {
    super(detail || reason);
    this.name = "PredictionError";
    this.reason = reason;
    this.detail = detail;
  }
}

const KNOWN = "WAV, AIFF, FLAC, Ogg Vorbis, Opus and MP3";

/** @type {Record<string, string>} code -> one or two sentences */
export const SENTENCES = {
  "empty": "The file is empty: it has no bytes.",
  "header-only": "The file begins like audio, and then there is no sound in it.",
  "truncated": "The file is cut off: it holds less audio than its header states. Perhaps a download or a copy was interrupted.",
  "bad-header": "The beginning of the file, which describes its sound, is corrupted.",
  "not-audio": `This is not an audio file. ${KNOWN} are supported.`,
  "lfs-pointer": "This is a placeholder of git LFS: the audio itself was never downloaded. `git lfs pull` fetches it.",
  "unsupported-codec": `This kind of audio is not supported. ${KNOWN} are.`,
  "too-short": "The recording is too short: at least a tenth of a second is needed.",
  "too-long": "The recording is too long for this page. Cut it, or give it to `ser predict` on the command line.",
  "rate-too-low": "The recording has fewer than 4000 samples a second, too few for speech.",
  "silent": "The recording is silent. Perhaps the microphone was muted.",
  "not-finite": "The file holds values that are not numbers.",
  "unreadable": "The file could not be read. Perhaps it was moved or changed, or you may not open it.",
  "not-a-file": "This is not a file. To use a folder, choose the recordings in it.",
  "link-loop": "The file is a link that refers to itself.",
  "dangling-link": "The file is a link to a file that does not exist.",
  "outside-root": "The file's name points outside the place where it was put.",
  "duplicate-samples": "The same sound was given before.",
  "conflicting-label": "The same sound was given before, under another emotion.",
  "bad-name": "The file's name does not have the form that its corpus uses.",
  "wrong-modality": "This is not a recording of sound alone.",
  "wrong-channel": "This is song, and the model knows speech.",
  "speaker-mismatch": "The folder and the name of the file give different speakers.",
  "timeout": "The recording took too long to process, and was cancelled.",

  "too-large": "The file is too large for this page. Cut it, or give it to `ser predict` on the command line.",
  "slow-upload": "The upload took too long, and was cancelled.",
  "busy": "The service is busy at the moment. Try again in a little while.",
  "not-ready": "The service is just starting or stopping. Try again in a little while.",
  "defect": "The service had an internal error that your recording did not cause. Its log has the details.",
  "bad-request": "The service did not understand this page. Load the page again.",
  "not-found": "The service does not have what this page requested. Load the page again.",
  "wrong-method": "The service does not accept recordings at this address. Load the page again.",
  "wrong-type": "The service does not accept what this page sent. Load the page again.",
  "wrong-host": "The service does not accept the host name in the address bar. Its operator can allow the name with `--allow-host`.",
  "wrong-origin": "The service accepts recordings only from its own page.",
  "unreachable": "The service does not answer. Perhaps it was stopped, or the connection is gone.",
  "failed": "An error occurred that your recording did not cause.",
  "unavailable": "The model could not be loaded in this browser.",

  "microphone-insecure": "Browsers allow the microphone only on pages with https or on this machine (localhost). Choose a file instead.",
  "microphone-unsupported": "This browser cannot record. Choose a file instead.",
  "recorder-missing":
    "The part of this page that records could not be loaded: its server does not answer. Load the page again when it does.",
  "microphone-refused": "The microphone is not allowed. Allow it in the browser's settings for this page, and try again, or choose a file.",
  "microphone-missing": "There is no microphone. Connect one and try again, or choose a file.",
  "microphone-busy": "The microphone cannot be used. Perhaps another program has it.",
};

/** Reasons for which the same recording may succeed on another try. */
const PASSING = new Set(["busy", "not-ready", "slow-upload", "timeout", "unreachable", "unreadable", "failed", "defect"]);

/**
 * @param {{reason: string, detail?: string}} error
 * @returns {string} a sentence, also for an unknown code
 */
export function sentence(error) {
  return SENTENCES[error.reason] ?? "There is no answer for this recording.";
}

/** @param {{reason: string}} error */
export function mayPass(error) {
  return PASSING.has(error.reason);
}

/**
 * @param {unknown} error anything that was thrown
 * @returns {PredictionError}
 */
export function asPredictionError(error) {
  if (error instanceof Error && "reason" in error) return /** @type {PredictionError} */ (error);
  return new PredictionError("failed", error instanceof Error ? error.message : String(error));
}
