"""Utilities that do not depend on speech: atomic files, tables, worker processes, memory, progress and terminal output."""
