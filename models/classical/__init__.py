"""Mixtures, naive Bayes, probabilistic PCA, Chow-Liu trees: models fitted without gradients."""
