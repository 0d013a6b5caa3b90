"""A trace told to others: as one JSON object and as one self-contained HTML file."""
