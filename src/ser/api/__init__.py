"""The Python API: the names of `import ser`, each imported when it is first used."""
