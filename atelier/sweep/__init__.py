"""Sweeps: many settings of one config, trained together in one program."""
