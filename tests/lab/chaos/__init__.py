"""A whole cluster under everything that goes wrong, for a while: see schedule.py, and `script/chaos`."""
