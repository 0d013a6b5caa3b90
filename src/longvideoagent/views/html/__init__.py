"""HTML views of traces."""
