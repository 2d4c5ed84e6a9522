"""What the licences of the corpora mean for a model that was made with them, and for a page that holds their sound."""

from collections.abc import Iterable

from ser.corpora.registry import CORPORA
from ser.wording import join_words


def short_title(corpus: str) -> str:
    """
    >>> short_title("crema"), short_title("ravdess")
    ('CREMA-D', 'RAVDESS')
    """
    return CORPORA[corpus].short_title


def voted_corpora() -> str:
    """Those whose owners give a table of votes.

    >>> voted_corpora()
    'CREMA-D'
    """
    return join_words([corpus.short_title for corpus in CORPORA.values() if corpus.votes])


def is_bound(corpus: str) -> bool:
    """Whether its licence asks for more than attribution.

    >>> is_bound("crema"), is_bound("savee")
    (False, True)
    """
    return not CORPORA[corpus].asks_attribution_only


def named(corpus: str) -> str:
    """
    >>> named("savee")
    'SAVEE (research use, after registration)'
    """
    return f"{short_title(corpus)} ({CORPORA[corpus].licence}{CORPORA[corpus].licence_clause})"


def model_licence(corpora: Iterable[str]) -> str:
    """What holds for a model that was trained, or chosen, with these corpora, in one sentence.

    >>> model_licence(["crema"])
    'It was made with CREMA-D (ODbL 1.0), which asks for attribution: name the corpus and its authors wherever the model goes.'
    >>> model_licence(["ravdess"])
    'Not for commercial use, because it was made with RAVDESS (CC BY-NC-SA 4.0).'
    """
    names = sorted(set(corpora))
    bound = [named(corpus) for corpus in names if is_bound(corpus)]
    free = [named(corpus) for corpus in names if not is_bound(corpus)]
    if not bound:
        return f"It was made with {join_words(free)}, which asks for attribution: name the corpus and its authors wherever the model goes."
    also = f"; {join_words(free)} asks for attribution" if free else ""
    return f"Not for commercial use, because it was made with {join_words(bound)}{also}."


def sound_licence(corpora: Iterable[str]) -> str:
    """What holds for a page with sound of these corpora.

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
