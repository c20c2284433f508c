"""Diffusion without networks: noise schedules, predictions, samplers, the ODE's likelihood."""
