"""Autoencoders, variational autoencoders, hierarchical VAEs and VQ-VAE."""
