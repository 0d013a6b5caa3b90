"""Made episodes: a script, its film and subtitles, the questions about it, and whole data sets of them."""
