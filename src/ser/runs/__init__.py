"""The run folder: the files that a training writes, and how to read them."""
