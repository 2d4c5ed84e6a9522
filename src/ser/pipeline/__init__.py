"""The steps, each a function of a config that reads like its description."""
