"""A function over every example of a split, and the values that it gives, kept."""
