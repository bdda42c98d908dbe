"""The code that several commands share."""
