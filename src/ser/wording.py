"""Numbers and lists as people write them."""

from collections.abc import Mapping, Sequence
from typing import Any


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
