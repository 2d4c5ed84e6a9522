/** Why there is no answer, in words. The codes are those of `ser.reasons`, and a few of the page's own. */

export class PredictionError extends Error {
  /**
   * @param {string} reason a code
   * @param {string} [detail] what exactly, as whoever refused it says
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
  "truncated": "The file is cut off: less sound is there than its beginning promises. Perhaps a download or a copy stopped early.",
  "bad-header": "The beginning of the file, which describes its sound, is corrupted.",
  "not-audio": `This is not an audio file, whatever its name says. ${KNOWN} can be heard.`,
  "lfs-pointer": "This is a placeholder of git LFS: the audio itself was never downloaded. `git lfs pull` fetches it.",
  "unsupported-codec": `This kind of audio is not known here. ${KNOWN} are.`,
  "too-short": "The recording is too short: it takes at least a tenth of a second.",
  "too-long": "The recording is too long for this page. Cut it, or give it to `ser predict` on the command line.",
  "rate-too-low": "The recording has fewer than 4000 samples a second: too few to hear speech in.",
  "silent": "The recording is silent. Perhaps the microphone was muted.",
  "not-finite": "The file holds values that are no numbers, so there is no sound to hear.",
  "unreadable": "The file could not be read. Perhaps it was moved or changed, or you may not open it.",
  "not-a-file": "This is not a file. A folder cannot be heard: give the recordings in it.",
  "link-loop": "The file is a link that leads in a circle.",
  "dangling-link": "The file is a link to something that is not there.",
  "outside-root": "The file's name points outside the place where it was put.",
  "duplicate-samples": "The same sound was given before.",
  "conflicting-label": "The same sound was given before, under another emotion.",
  "bad-name": "The file's name does not say what it has to say.",
  "wrong-modality": "This is not a recording of sound alone.",
  "wrong-channel": "This is song, and the model knows speech.",
  "speaker-mismatch": "Folder and name of the file tell different speakers.",
  "timeout": "Reading the recording took too long, and was given up.",

  "too-large": "The file is too large for this page. Cut it, or give it to `ser predict` on the command line.",
  "slow-upload": "The recording took too long to arrive, and was given up.",
  "busy": "The service has too much to do at the moment. Try again in a little while.",
  "not-ready": "The service is just starting or stopping. Try again in a little while.",
  "defect": "The service made a mistake that has nothing to do with your recording. Its log says more.",
  "bad-request": "The service did not understand this page. Load the page again.",
  "not-found": "The service does not know what this page asked for. Load the page again.",
  "wrong-method": "The service takes no recordings where this page sent one. Load the page again.",
  "wrong-type": "The service does not take what this page sent. Load the page again.",
  "wrong-host": "The service does not go by the name in the address bar. Whoever runs it can allow the name with `--allow-host`.",
  "wrong-origin": "The service takes recordings from its own page alone.",
  "unreachable": "The service does not answer. Perhaps it was stopped, or the connection is gone.",
  "failed": "Something went wrong that has nothing to do with your recording.",
  "unavailable": "The model could not be loaded in this browser.",

  "microphone-insecure":
    "A browser lets only a page with https, or of this very machine (localhost), use the microphone. Choose a file instead.",
  "microphone-unsupported": "This browser cannot record. Choose a file instead.",
  "recorder-missing":
    "The part of this page that records could not be loaded: its server does not answer. Load the page again when it does.",
  "microphone-refused": "The microphone is not allowed. Allow it in the browser's settings for this page, and try again, or choose a file.",
  "microphone-missing": "There is no microphone. Connect one and try again, or choose a file.",
  "microphone-busy": "The microphone cannot be used. Perhaps another program has it.",
};

/** Worth another try with the same recording. */
const PASSING = new Set(["busy", "not-ready", "slow-upload", "timeout", "unreachable", "unreadable", "failed", "defect"]);

/**
 * @param {{reason: string, detail?: string}} error
 * @returns {string} what is wrong, also of a code that is new
 */
export function sentence(error) {
  return SENTENCES[error.reason] ?? "There is no answer for this recording.";
}

/** @param {{reason: string}} error */
export function mayPass(error) {
  return PASSING.has(error.reason);
}

/**
 * @param {unknown} error whatever was thrown
 * @returns {PredictionError}
 */
export function asPredictionError(error) {
  if (error instanceof Error && "reason" in error) return /** @type {PredictionError} */ (error);
  return new PredictionError("failed", error instanceof Error ? error.message : String(error));
}
