"""Streams of videos that browsers do not play by themselves."""
