"""What is kept on disk about a video, so that nothing is computed or paid for twice."""
