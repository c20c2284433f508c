"""Autoregressive models of pixels and of text."""
