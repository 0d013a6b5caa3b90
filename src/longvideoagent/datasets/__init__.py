"""Data sets: made, built, read."""
