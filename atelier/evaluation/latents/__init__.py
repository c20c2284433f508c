"""Measures of latent codes: activity, information, disentanglement, continuity."""
