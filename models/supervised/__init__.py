"""Networks trained on labels or targets: the classifier, and the super-resolution regressor."""
