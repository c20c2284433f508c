"""Sweeps: many settings of one config, trained side by side in one program."""
