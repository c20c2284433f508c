"""Benchmarks of speed and spread: each file is one command, `python -m benchmarks.NAME`."""
