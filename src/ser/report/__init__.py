"""For eyes: figures, pages, cards."""
