"""Writes text with a language model, after a prompt or without; also as a .txt."""

import jax
import numpy as np
from jaxtyping import Float

from atelier.applications import _common
from atelier.applications._application import EXTEND, Application
from atelier.core.abilities import Extend
from atelier.core.randomness import Stream, key_for
from atelier.data.text import encode
from atelier.errors import about
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import escaped, log
from atelier.report import texts
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (EXTEND,)


def apply(
    run: Run, prompt: str = '', num_characters: int = 500, num_samples: int = 3, seed: int = 0
) -> list[str]:
    """Draws `num_characters` after the prompt, `num_samples` times.

    One compiled scan draws a window. The next window starts with the last half context of the text
    so far, so that each new character is drawn given at least half a context, as in evaluation. If
    the prompt is longer than half a context, the model reads only its last half context.
    config.eval.sampler sets how characters are drawn. Sample i depends only on (seed, i), the
    prompt and the weights, so that a larger `num_characters` does not change the first characters.

    Args:
      run: of a language model.
      prompt: beginning of each text.
      num_characters: number of characters drawn after it.
      num_samples: number of texts.
      seed: seed of the draws.

    Returns:
      The texts, each starting with the prompt.

    Raises:
      UserError: a missing checkpoint, a bad option, or a prompt with a character outside
        the vocabulary.
    """
    _common.at_least(1, num_characters=num_characters, num_samples=num_samples)
    _common.check_outputs(run, num_characters=num_characters, num_samples=num_samples)
    _common.check_seed(seed)
    spec = run.data.spec
    with about(f'--prompt={prompt!r}'):
        symbols = encode(prompt, spec.symbols)
    trained = restore.load(run)
    start = np.tile(symbols.astype(np.float32), (num_samples, 1))
    x = compute(trained, start, num_characters, seed)
    file = f'text-seed-{seed}{_common.changed_options(apply, prompt=prompt)}'
    path = _common.save(trained, file, {'x': x.astype(np.int32)}).with_suffix('.txt')
    lines = texts.save(path, x, spec)
    log.info('texts written by the model of the %s: %s', trained.weights, path)
    print(escaped(texts.BETWEEN.join(lines), keep='\n\t'))
    return lines


def compute(
    trained: TrainedRun, x: Float[np.ndarray, 'n start'], count: int, seed: int
) -> Float[np.ndarray, 'n _']:
    """Returns x [n, start] extended by `count` tokens, window by window."""
    run, context = trained.run, trained.run.data.spec.num_dims
    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # x is already preprocessed
    size = run.config.eval.batch_size
    extend = over_examples(run.family.ability(Extend).complete, data, size, trained.devices)
    n, length = len(x), x.shape[1] + count
    i = 0
    while x.shape[1] < length:
        known = x[:, max(0, x.shape[1] - context // 2) :]
        num_new = context - known.shape[1]
        inputs = {
            'x': np.pad(known, ((0, 0), (0, num_new))),
            'num_known': np.full(n, known.shape[1], np.int32),
        }
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE, i)
        window = extend(trained.state, key, inputs, n)
        x = np.concatenate([x, window[:, context - num_new :]], 1)
        i += 1
    return x[:, :length]


APPLICATION = Application(apply, NEEDS, reads='')
