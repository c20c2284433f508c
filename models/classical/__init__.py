"""Mixtures, naive Bayes, probabilistic PCA, Chow-Liu trees: models that are fitted outright."""
