"""Synthetic episodes: scenes, their video and subtitles, questions about them, and data sets of them."""
