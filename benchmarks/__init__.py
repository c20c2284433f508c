"""Benchmarks of speed, spread and reliability; docs/clusters.md lists the commands."""

import time

BEGAN = time.monotonic()  # before a program imports anything large; near the start of its process
