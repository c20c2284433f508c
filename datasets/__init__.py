"""Where data comes from; every source ends as a `dataset.Dataset`."""
