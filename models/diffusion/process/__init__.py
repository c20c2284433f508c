"""Diffusion without networks: noise schedules, predictions, samplers, likelihood by the ODE."""
