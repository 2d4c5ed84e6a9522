"""Torch networks from features to logits. They open no file."""
