"""The sections of a report, one in each file: functions of the facts of a run."""
