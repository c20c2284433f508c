"""Observation models and abilities that several families share."""
