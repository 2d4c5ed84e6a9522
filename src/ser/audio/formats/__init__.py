"""Checks of the header of each container, made before a file is decoded."""
