"""Mean loss of a language model over random windows of the test text: the estimate of nanoGPT.

nanoGPT (Karpathy 2022, `estimate_loss` of train.py) averages over 200 batches of windows at random
positions, and counts each position of a window: the first is predicted from one character, the last
from as many as a window has. So most characters have less context than by the rule of `text.py`,
which gives each at least half a window, and the values of the two rules cannot be compared.
"""

import jax
import numpy as np
from jaxtyping import Float, Integer

from atelier.core.abilities import LogProb
from atelier.core.randomness import Stream, key_for
from atelier.data.items import are_items
from atelier.data.spec import Spec
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

METRIC = 'random_window_nats_per_character'
STREAM = 1  # apart from the noise of the examples of a split


def random_window_nats(run: Run, state, split: str, devices) -> dict[str, Float[np.ndarray, 'n']]:
    """Returns `METRIC` of `config.eval.random_windows` windows of a text.

    Returns {} if it is 0 or no such field, and for items, which have no windows.

    A window has `config.data.context` characters. Its value is the mean of -log p in nats of all
    but the first, each given the ones before it in the window. Windows are drawn uniformly from all
    positions of the split, with replacement. They depend on the text and on their number alone, so
    runs of all seeds have the same ones.
    """
    n, log_prob = run.config.eval.get('random_windows', 0), run.family.ability(LogProb)
    if not n or log_prob is None or log_prob.by_value is None or not _is_endless(run.data.spec):
        return {}
    length, text = run.data.spec.num_dims, text_of(run.data.splits[split])
    windows = np.lib.stride_tricks.sliding_window_view(text, length)
    key = key_for(jax.random.PRNGKey(0), Stream.EVALUATE, STREAM)
    index = np.asarray(jax.random.randint(key, (n,), 0, len(windows)))
    inputs = {'x': windows[index], 'num_scored': np.full(n, length - 1, np.int32)}
    apply = over_examples(log_prob.by_value, run.data, run.config.eval.batch_size, devices)
    values = apply(state, key_for(state.key, Stream.EVALUATE), inputs, n)
    return {METRIC: -np.asarray(values, np.float64).sum(1) / (length - 1)}


def _is_endless(spec: Spec) -> bool:
    return spec.symbols is not None and not are_items(spec)


def text_of(split: dict[str, np.ndarray]) -> Integer[np.ndarray, 'length']:
    """Returns the symbols of a split of windows 'x' that score each symbol once."""
    counts = split['num_scored']
    return np.concatenate([x[len(x) - n :] for x, n in zip(split['x'], counts, strict=True)])
