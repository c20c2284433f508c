"""Latent codes of any family: encoding, decoding, random draws."""
