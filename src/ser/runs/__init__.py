"""What one training leaves behind, and how to read it."""
