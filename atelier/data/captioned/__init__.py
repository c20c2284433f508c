"""Coloured shapes with captions whose truth can be read back from the pixels."""
