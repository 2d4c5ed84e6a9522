"""The implementations of the sub-commands: what each prints and asks."""
