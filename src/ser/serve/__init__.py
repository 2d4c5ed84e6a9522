"""The HTTP service: everything that runs only while a port is open."""
