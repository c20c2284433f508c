"""Evaluation of a whole split, comparison of runs, and the measures that both report."""
