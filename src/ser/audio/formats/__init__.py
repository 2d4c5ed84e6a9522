"""The headers of each container, checked before any decoder sees the file."""
