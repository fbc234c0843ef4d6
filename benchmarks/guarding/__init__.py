"""What `guard.py` times."""
