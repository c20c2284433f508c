"""A training that takes seconds, which benchmarks disturb: its flags and its times."""

PATIENCE = 300.0  # seconds that one command may take
MOMENT = 0.03  # longest delay of a kill, in seconds; a save of these runs takes about as long
VAE = '--config=configs/vae.py:digits,debug'
TRAIN = (
    *('--config.train.steps=20', '--config.train.evaluate_every=10'),
    *('--config.train.checkpoint_every=5', '--config.train.steps_per_dispatch=5'),
    '--config.hypers.ema_half_life=0.0',
)
