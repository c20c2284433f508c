"""What a run writes for people: the metrics log, grids of images, texts."""
