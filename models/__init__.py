"""Flax networks, and the families of generative model that are built of them."""
