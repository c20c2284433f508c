"""Measures of single examples: anomaly scores, ranking, calibration, image quality."""
