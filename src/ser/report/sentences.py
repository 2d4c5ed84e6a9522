"""Sentences of the report and the model card, from the macros of `templates/sentences.j2`: plain text, escaped by the page. Requires the
extra `viz`.
"""

from functools import cache
from typing import TYPE_CHECKING

from ser.report.page import make_environment
from ser.wording import counted, join_words, percent

if TYPE_CHECKING:
    import jinja2


def sentence(macro: str, **values: object) -> str:
    """The output of a macro on one line."""
    return " ".join(str(getattr(sentences().module, macro)(**values)).split())


@cache
def sentences() -> "jinja2.Template":
    environment = make_environment(autoescape=False)
    environment.filters.update(percent=percent, counted=counted, join_words=join_words)
    return environment.get_template("sentences.j2")
