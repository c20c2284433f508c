"""Normalizing flows: bijectors, couplings, autoregressive flows."""
