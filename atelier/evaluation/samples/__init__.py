"""Measures of samples: feature distances, precision and recall, modes, classification accuracy."""
