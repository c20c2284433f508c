"""Autoencoders, variational autoencoders, hierarchical ones and VQ-VAE."""
