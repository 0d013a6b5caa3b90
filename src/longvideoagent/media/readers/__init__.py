"""Readers: one per way of storing a video."""
