"""Play whole waits in one process, on a clock of its own: the parts of tests/simulate.py."""
