"""The arguments, options and help texts of every command. What a command does stands beside this folder, and is imported when it runs."""
