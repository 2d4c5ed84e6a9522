"""Terms of the corpora's licences for models trained on them and for pages with their audio."""

from collections.abc import Iterable

from ser.corpora.registry import CORPORA
from ser.wording import join_words


def short_title(corpus: str) -> str:
    """Short title of a corpus.

    >>> short_title("crema"), short_title("ravdess")
    ('CREMA-D', 'RAVDESS')
    """
    return CORPORA[corpus].short_title


def voted_corpora() -> str:
    """Titles of the corpora with a table of listeners' votes.

    >>> voted_corpora()
    'CREMA-D'
    """
    return join_words([corpus.short_title for corpus in CORPORA.values() if corpus.votes])


def is_bound(corpus: str) -> bool:
    """Whether the licence has more conditions than attribution.

    >>> is_bound("crema"), is_bound("savee")
    (False, True)
    """
    return not CORPORA[corpus].requires_attribution_only


def named(corpus: str) -> str:
    """Title and licence of a corpus.

    >>> named("savee")
    'SAVEE (research use, after registration)'
    """
    return f"{short_title(corpus)} ({CORPORA[corpus].licence}{CORPORA[corpus].licence_clause})"


def model_licence(corpora: Iterable[str]) -> str:
    """Terms for a model that was trained or selected with these corpora, in one sentence.

    >>> model_licence(["crema"])
    'It was made with CREMA-D (ODbL 1.0), which requires attribution: name the corpus and its authors wherever the model goes.'
    >>> model_licence(["ravdess"])
    'Not for commercial use, because it was made with RAVDESS (CC BY-NC-SA 4.0).'
    """
    names = sorted(set(corpora))
    bound = [named(corpus) for corpus in names if is_bound(corpus)]
    free = [named(corpus) for corpus in names if not is_bound(corpus)]
    if not bound:
        return f"It was made with {join_words(free)}, which requires attribution: name the corpus and its authors wherever the model goes."
    also = f"; {join_words(free)} requires attribution" if free else ""
    return f"Not for commercial use, because it was made with {join_words(bound)}{also}."


def sound_licence(corpora: Iterable[str]) -> str:
    """Terms for a page with audio of these corpora, in one sentence.

    >>> sound_licence(["crema"])
    'The recordings keep the licence of CREMA-D (ODbL 1.0): pass the page on with the attribution below.'
    """
    corpora = sorted(corpora)
    whose = [named(corpus) for corpus in corpora]
    kept = [short_title(corpus) for corpus in dict.fromkeys(corpora) if is_bound(corpus)]
    keep = f"The recordings keep the licence{'' if len(whose) == 1 else 's'} of {join_words(whose)}"
    if kept:
        return f"{keep}: do not pass this page on while it holds sound of {join_words(kept)}; --no-audio writes one without."
    return f"{keep}: pass the page on with the attribution below."
