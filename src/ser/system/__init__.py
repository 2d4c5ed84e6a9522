"""What would be the same in a program that knows nothing of speech: atomic files, tables, processes, memory, progress, terminal."""
