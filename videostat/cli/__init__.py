"""Share code between commands. `main` is in `videostat.commands`."""
