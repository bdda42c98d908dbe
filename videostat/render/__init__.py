"""Show jobs to people and programs. No other package imports rich."""
