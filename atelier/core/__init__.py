"""Games, State, randomness, the training step, optimizers and devices: pure functions of arrays."""
