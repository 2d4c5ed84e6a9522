/** Numbers and codes in words. */

export const UNKNOWN = "unknown";

/**
 * @param {number} share from 0 to 1
 * @param {number} [digits] after the decimal point
 */
export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}

/**
 * @param {number} smaller share from 0 to 1
 * @param {number} larger
 * @returns {[string, string]} in per cent, with enough digits to distinguish them
 */
export function percentsApart(smaller, larger) {
  const digits = [0, 1, 2].find((each) => percent(smaller, each) !== percent(larger, each)) ?? 3;
  return [percent(smaller, digits), percent(larger, digits)];
}

/**
 * @param {number} seconds
 * @param {number} [digits] after the decimal point
 * @returns {string} as of a clock: 0:03.2, 1:02:03.0
 */
export function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const whole = Math.round(Math.max(0, seconds) * unit);
  const parts = [Math.floor(whole / unit / 3600), Math.floor(whole / unit / 60) % 60, (whole / unit) % 60];
  const rest = parts[2].toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return parts[0] ? `${parts[0]}:${String(parts[1]).padStart(2, "0")}:${rest}` : `${parts[1]}:${rest}`;
}

/**
 * @param {number} seconds
 * @returns {string} as one says it: 3.2 seconds, 2 minutes 5 seconds
 */
export function spoken(seconds) {
  const tenths = Math.round(10 * seconds) / 10;
  if (tenths < 60) return `${tenths} second${tenths === 1 ? "" : "s"}`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  return parts
    .filter(([count]) => count)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`)
    .join(" ");
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/**
 * @param {string[]} names
 * @returns {string} a, b and c
 */
export function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** @type {Record<string, string>} code of a warning -> what it means for the answer */
export const WARNINGS = {
  "clipped": "The recording is clipped: it was too loud for the microphone or the file. The answer may suffer.",
  "dc-offset": "The recording has a constant offset, for example from a faulty sound card. It was removed.",
  "stereo": "The recording has several channels. They were mixed into one.",
  "8khz": "The recording has the quality of a telephone (8 kHz). What a voice has above 4 kHz is missing, and the answer may suffer.",
  "name-content-mismatch": "The file's content has another format than its name suggests. It was read by its content.",
  "no-speech": "No speech was found in the recording.",
};

/** @param {string} code */
export function warning(code) {
  return WARNINGS[code] ?? code;
}

/**
 * @param {Record<string, number>} probabilities
 * @returns {[string, number][]} the likeliest first
 */
export function ranked(probabilities) {
  return Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
}
