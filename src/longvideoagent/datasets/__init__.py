"""Data sets: read, checked, built, downloaded, generated, exported."""
