"""Reason codes: why a file is skipped, or used with a warning. The extract step, `predict` and the service share them."""

SKIP_REASONS = {
    "empty": "the file has no bytes",
    "header-only": "the file has a header but no samples",
    "truncated": "more than 25 ms shorter than its header states",
    "bad-header": "the header contradicts itself",
    "not-audio": "the content is not audio",
    "lfs-pointer": "a git-LFS pointer: the audio itself was never downloaded (git lfs pull fetches it)",
    "unsupported-codec": "a container or codec outside the allow-list",
    "too-short": "less than 0.1 s",
    "too-long": "more than 60 s",
    "rate-too-low": "a sample rate under 4 kHz",
    "silent": "level below -80 dBFS after the mean is removed",
    "not-finite": "NaN or infinite samples",
    "unreadable": "permissions or an input/output error",
    "not-a-file": "a FIFO, socket, device or directory",
    "link-loop": "a loop of symbolic links",
    "dangling-link": "a symbolic link to a file that does not exist",
    "outside-root": "an archive member or upload that points outside its root",
    "duplicate-samples": "the same samples as another clip with the same label",
    "conflicting-label": "the same samples as another clip with another label",
    "bad-name": "the name does not follow the naming scheme of the corpus",
    "wrong-modality": "not an audio-only recording",
    "wrong-channel": "song, not speech",
    "speaker-mismatch": "folder and name belong to different speakers",
    "timeout": "decoding took too long",
}

WARN_REASONS = {
    "clipped": "samples at full scale",
    "dc-offset": "the mean is far from zero",
    "stereo": "several channels, mixed down",
    "no-speech": "silero-vad finds no speech (predictions only)",
    "8khz": "a sample rate of 8 kHz or less: no energy above 4 kHz",
    "name-content-mismatch": "the content has another format than the suffix of the name",
}
