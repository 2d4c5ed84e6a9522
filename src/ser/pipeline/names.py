"""The names of the steps, without imports, so that the command line can use them at once."""

STEPS = ("extract", "transform", "load", "train")
"""The steps of the whole pipeline, in their order."""
EXTRA_STEPS = ("doctor",)
"""Steps that run only when they are named."""
