"""Generative adversarial networks, and the VAE-GAN."""
