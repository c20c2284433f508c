"""Data sources, the Dataset each becomes, the shuffle, preprocessing, the cache of images."""
