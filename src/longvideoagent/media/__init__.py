"""Reading videos, subtitles and the text on screen."""
