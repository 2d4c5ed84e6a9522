"""Format numbers, lists, names and digests for messages and tables."""

import re
from collections.abc import Iterable, Mapping, Sequence

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the surrogates that Python uses for bytes that are not UTF-8."""

DIGITS = 12
"""Digits of a commit or checksum in a message."""


def percent(share: float | None, digits: int = 1) -> str:
    """
    >>> percent(0.6897), percent(None)
    ('69.0', '-')
    """
    return "-" if share is None else f"{100 * share:.{digits}f}"


def counted(number: int, what: str) -> str:
    """
    >>> counted(1, "speaker"), counted(1400, "clip")
    ('1 speaker', '1400 clips')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def join_words(words: Sequence[str]) -> str:
    """
    >>> join_words(["a"]), join_words(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def describe_backbone(identity: Mapping[str, object]) -> str:
    """The identity of a backbone in short: kind, and hub model and revision or checksums.

    >>> describe_backbone({"kind": "wavlm", "model_id": "microsoft/wavlm-base", "revision": "efa81aae7ff777e464159e0f877d54eac5b84f81"})
    'wavlm, microsoft/wavlm-base at efa81aae7ff7'
    >>> describe_backbone({"kind": "wavlm", "sha256": {"config.json": 64 * "a", "model.safetensors": 64 * "b"}})
    'wavlm, config.json aaaaaaaaaaaa, model.safetensors bbbbbbbbbbbb'
    """
    if "model_id" in identity:
        return f"{identity['kind']}, {identity['model_id']} at {str(identity['revision'])[:DIGITS]}"
    checksums = identity["sha256"]
    files = checksums.items() if isinstance(checksums, Mapping) else ()
    return ", ".join([str(identity["kind"]), *(f"{name} {digest[:DIGITS]}" for name, digest in files)])


def examples(names: Iterable[str], limit: int = 3) -> str:
    """
    >>> examples(["d", "b", "a", "c"])
    'a, b, c and 1 more'
    """
    ordered = sorted(names)
    more = len(ordered) - limit
    return ", ".join(ordered[:limit]) + (f" and {more} more" if more > 0 else "")


def printable(path: str) -> str:
    """Escape control characters, and bytes that are not UTF-8, for tables and logs.

    >>> printable("a\\nb")
    'a\\\\nb'
    """
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], path)
