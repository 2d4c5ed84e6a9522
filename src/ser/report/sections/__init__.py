"""The sections of a report, one a file: each a function of what is known of the run."""
