"""Wait for AI-generated videos and bring them home."""

__version__ = "0.1.0"
