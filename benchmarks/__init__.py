"""Benchmarks of speed, spread and reliability; docs/clusters.md lists the commands."""
