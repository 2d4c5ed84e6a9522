"""Torch networks from features to logits. They do not read or write files."""
