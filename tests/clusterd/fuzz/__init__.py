"""Sample files of every format that is read, and what can be done to them: for tests and for script/fuzz."""
