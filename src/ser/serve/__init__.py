"""What exists only while a port is open."""
