"""Views of traces: one JSON form, one view model, HTML, and run folders as they are read."""
