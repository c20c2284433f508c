"""Lossless coding with a model, and the image formats that it is compared with."""
