"""The steps of the pipeline: functions of a config that write files below `processed/` or `runs/`."""
