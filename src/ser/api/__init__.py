"""What a Python program imports: `import ser` offers each of these names and loads it when it is first used."""
