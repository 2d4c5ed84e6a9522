"""Whatever changes weights."""
