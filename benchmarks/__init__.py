"""Speed and spread, measured: each file is one command, `python -m benchmarks.NAME`."""
