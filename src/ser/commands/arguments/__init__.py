"""The arguments, options and help texts of every command. The implementations are in `ser.commands`, and are imported when a command
runs."""
