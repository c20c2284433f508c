"""Applies a function to every example of a split, and stores the values."""
