"""What people and programs are shown; the only place with rich."""
