"""What one sub-command prints or asks."""
