"""Numbers about a trained model: every example of a split counts exactly once."""
