"""Writes text with a language model, or completes an item, after a prompt or without."""

import jax
import numpy as np
from jaxtyping import Float

from atelier.applications import _common
from atelier.applications._application import EXTEND, Application
from atelier.core.abilities import Extend
from atelier.core.randomness import Stream, key_for
from atelier.data.items import END, are_items
from atelier.data.spec import Spec
from atelier.data.text import encode
from atelier.errors import UserError, about, shortened_text
from atelier.log import escaped, log
from atelier.report import texts
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
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

    Of a model of items, texts that end, each sample is one whole item, up to its end.

    Args:
      run: of a language model.
      prompt: beginning of each text.
      num_characters: number of characters drawn after it; items end by themselves.
      num_samples: number of texts.
      seed: seed of the draws.

    Returns:
      The texts, each starting with the prompt.

    Raises:
      UserError: a missing checkpoint, a bad option, a prompt with a character outside the
        vocabulary, or one that is longer than an item may be.
    """
    _common.at_least(1, num_characters=num_characters, num_samples=num_samples)
    _common.check_outputs(run, num_characters=num_characters, num_samples=num_samples)
    _common.check_seed(seed)
    spec = run.data.spec
    end_by_themselves = are_items(spec)
    if end_by_themselves:
        _check_item(prompt, num_characters, spec)
    with about(f'--prompt={prompt!r}'):
        symbols = encode(prompt, spec.symbols)
    trained = restore.load(run)
    start = np.tile(symbols.astype(np.float32), (num_samples, 1))
    if end_by_themselves:
        x = window(trained, start, seed)
    else:
        x = compute(trained, start, num_characters, seed)
    file = f'text-seed-{seed}{_common.changed_options(apply, prompt=prompt)}'
    arrays = {'x': x.astype(np.int32), **texts.arrays_of(x, spec)}
    path = _common.save(trained, file, arrays).with_suffix('.txt')
    lines = texts.save(path, x, spec, run.config.data.get('separator', ''))
    log.info('texts written by the model of the %s: %s', trained.weights, path)
    print(escaped(texts.between(spec).join(lines), keep='\n\t'))
    return lines


def _check_item(prompt: str, num_characters: int, spec: Spec) -> None:
    """Checks the options of a model of items.

    Raises:
      UserError: a number of characters is given, or the prompt is no beginning of an item.
    """
    if _common.changed_options(apply, num_characters=num_characters):
        raise UserError(
            f'--num_characters={num_characters}: the texts of this model end by themselves: leave '
            'it out'
        )
    longest = spec.num_dims - 1
    if len(prompt) > longest:
        raise UserError(
            f'--prompt={shortened_text(prompt)!r} has {len(prompt):,} characters, and the texts of '
            f'this model have at most {longest:,}: give a shorter prompt'
        )
    if END in prompt:
        raise UserError(f'--prompt={prompt!r}: a zero byte ends a text: leave it out')


def compute(
    trained: TrainedRun, x: Float[np.ndarray, 'n start'], count: int, seed: int
) -> Float[np.ndarray, 'n _']:
    """Returns x [n, start] extended by `count` tokens, window by window."""
    context, length = trained.run.data.spec.num_dims, x.shape[1] + count
    i = 0
    while x.shape[1] < length:
        known = x[:, max(0, x.shape[1] - context // 2) :]
        extended = window(trained, known, seed, i)
        x = np.concatenate([x, extended[:, known.shape[1] :]], 1)
        i += 1
    return x[:, :length]


def window(
    trained: TrainedRun, known: Float[np.ndarray, 'n start'], seed: int, index: int = 0
) -> Float[np.ndarray, 'n length']:
    """Returns windows that begin with `known`; the draws depend on the seed and on `index`."""
    run, n = trained.run, len(known)
    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # x is already preprocessed
    size = run.config.eval.batch_size
    extend = over_examples(run.family.ability(Extend).complete, data, size, trained.devices)
    inputs = {
        'x': np.pad(known, ((0, 0), (0, run.data.spec.num_dims - known.shape[1]))),
        'num_known': np.full(n, known.shape[1], np.int32),
    }
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE, index)
    return extend(trained.state, key, inputs, n)


APPLICATION = Application(apply, NEEDS, reads='')
