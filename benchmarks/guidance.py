"""How many samples agree with their captions, by the weight of guidance.

    python -m benchmarks.guidance --workdir=runs/text_to_image-captioned_shapes

Each weight gets the samples that the evaluation of the run would draw. With weight 0 the model
ignores its captions: what is right then is right by chance.
"""

import math
from collections.abc import Sequence

import jax
from absl import flags

import atelier
from atelier.errors import A_RUN, UserError
from atelier.evaluation.samples.agreement import condition_values
from benchmarks import outcome

flags.DEFINE_string('workdir', '', 'folder of a run of a model that is given captions')
flags.DEFINE_list('guidance', ['0', '1', '2', '4'], 'weights of classifier-free guidance')


def shares(folder: str, weight: float) -> dict[str, float]:
    """Returns the shares of samples that are right, by name.

    Raises:
      UserError: nothing says whether samples agree with their conditions.
    """
    trained = atelier.load(folder, overrides={'eval.sampler.guidance': weight})
    values = condition_values(trained.run, trained.state, jax.devices())
    if not values:
        raise UserError(f'{folder}: its model is given no captions')
    return {name: each['samples'] for name, each in values.items()}


def weights_of(texts: Sequence[str]) -> list[float]:
    """Returns the weights of guidance that --guidance lists.

    Raises:
      UserError: one is no finite number, or there are none.
    """
    try:
        weights = [*map(float, texts)]
    except ValueError:
        weights = []
    if not weights or not all(map(math.isfinite, weights)):
        raise UserError(f'--guidance={",".join(texts)}: give numbers, such as 0,1,2,4')
    return weights


def main(_):
    """Prints a line for each share, with a column for each weight."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('guidance')
    if not values.workdir:
        raise UserError(f'give --workdir=RUN, {A_RUN}')
    weights = weights_of(values.guidance)
    columns = {}
    for weight in weights:
        if not result.left():
            print('  time was up')
            break
        columns[weight] = shares(values.workdir, weight)
        for name, share in columns[weight].items():
            result.add_arm(f'{name}, guidance {weight:g}', [100 * share], 'percent')
        result.write()
    names = next(iter(columns.values()), {})
    print('% right, guidance'.ljust(50), *(f'{weight:8g}' for weight in columns))
    for name in names:
        print(name.ljust(50), *(f'{100 * column[name]:8.1f}' for column in columns.values()))
    result.write()


if __name__ == '__main__':
    outcome.run(main)
