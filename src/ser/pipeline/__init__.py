"""The steps: functions of a config that leave files below `processed/` or `runs/`."""
