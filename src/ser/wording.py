"""Numbers and lists as people write them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


DIGITS = 12
"""Of a commit or checksum in a message."""


def percent(share: float | None, digits: int = 1) -> str:
    """
    >>> percent(0.6897), percent(None)
    ('69.0', '-')
    """
    return "-" if share is None else f"{100 * share:.{digits}f}"


def signed(scores: Mapping[str, Any], metric: str = "uar") -> str:
    """A difference of two scores, in per cent points, with its interval if it has one.

    >>> signed({"uar": -0.031, "intervals": {"uar": {"low": -0.04, "high": 0.01}}})
    '-3.1 [-4.0, +1.0]'
    """
    value, interval = scores[metric], scores["intervals"][metric]
    if value is None:
        return "-"
    ends = "" if interval["low"] is None else f" [{100 * interval['low']:+.1f}, {100 * interval['high']:+.1f}]"
    return f"{100 * value:+.1f}{ends}"


def counted(number: int, what: str) -> str:
    """
    >>> counted(1, "speaker"), counted(1400, "clip")
    ('1 speaker', '1400 clips')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def described(identity: Mapping[str, Any]) -> str:
    """What names a backbone for good, in few words: kind, and hub model and revision or checksums.

    >>> described({"kind": "wavlm", "model_id": "microsoft/wavlm-base", "revision": "efa81aae7ff777e464159e0f877d54eac5b84f81"})
    'wavlm, microsoft/wavlm-base at efa81aae7ff7'
    >>> described({"kind": "wavlm", "sha256": {"config.json": 64 * "a", "model.safetensors": 64 * "b"}})
    'wavlm, config.json aaaaaaaaaaaa, model.safetensors bbbbbbbbbbbb'
    """
    if "model_id" in identity:
        return f"{identity['kind']}, {identity['model_id']} at {identity['revision'][:DIGITS]}"
    return ", ".join([identity["kind"], *(f"{name} {digest[:DIGITS]}" for name, digest in identity["sha256"].items())])


def examples(names: Iterable[str], limit: int = 3) -> str:
    """
    >>> examples(["d", "b", "a", "c"])
    'a, b, c and 1 more'
    """
    ordered = sorted(names)
    more = len(ordered) - limit
    return ", ".join(ordered[:limit]) + (f" and {more} more" if more > 0 else "")


def printable(path: str) -> str:
    """Control characters, and bytes that are no UTF-8, escaped for tables and logs.

    >>> printable("a\\nb")
    'a\\\\nb'
    """
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], path)


def score_parts(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The rows of a table of scores, named: overall, each corpus, the mean over corpora."""
    return [("all", metrics), *metrics["per_corpus"].items(), ("mean over corpora", metrics["mean_over_corpora"])]


def with_interval(scores: Mapping[str, Any], metric: str) -> str:
    """`61.2 [58.0, 64.1]`; without an interval where there is none."""
    value, interval = scores[metric], scores["intervals"][metric]
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    return text if interval["low"] is None else f"{text} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
