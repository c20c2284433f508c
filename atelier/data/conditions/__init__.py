"""Conditions that are more than one class: numbers, several labels, words."""
