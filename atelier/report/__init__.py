"""Human-readable output of a run: the metrics log, grids of images, texts."""
