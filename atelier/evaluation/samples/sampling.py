"""Samples and reconstructions of a trained family, as arrays and as grids."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from jaxtyping import Int

from atelier.core.abilities import Reconstruct, Sample
from atelier.core.family import is_class_conditional, reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described, index_of
from atelier.data.conditions.condition import KEY, Condition
from atelier.data.conditions.words import Words
from atelier.data.dataset import Dataset
from atelier.data.items import are_items, as_events
from atelier.data.splits import fixed_order
from atelier.errors import UserError
from atelier.evaluation.examples.known_classes import are_of
from atelier.log import escaped
from atelier.report import image_grids
from atelier.report.views.choose import view_of
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples


def shows_means(run: Run) -> bool:
    """Whether pictures of samples show the mean of x given its latent variables.

    Those of images do if the family has p(x | z), whose noise hides what was learned. Sets of
    points and tables are compared with the data, so their pictures show draws.
    """
    ability = run.family.ability(Sample)
    has_mean, view = ability is not None and ability.mean is not None, view_of(run.data.spec)
    return has_mean and view is not None and not view.is_among_data


def sampler(run: Run, devices: Sequence[jax.Device], means: bool = False) -> Callable:
    """Returns sample(state, key, n, given=None) -> x [n, *event].

    Sample i depends on (key, i) and given[i] alone. `given` are labels, int32 [n], for
    class-conditional families, or conditions [n, columns] for families that read the condition of
    their data. With `means`, x is the mean given the latent variables of the sample
    (`Sample.mean`).

    Raises:
      UserError: the family cannot sample.
    """
    if run.family.ability(Sample) is None:
        raise UserError(
            f'the model of {run.folder} cannot sample: it has {run.family.ability_names}'
        )

    def draw_samples(weights, batch, rng):
        ability = run.family.ability(Sample)
        return (ability.mean if means else ability.draw)(weights, rng, batch or None)

    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # labels as they are
    apply = over_examples(draw_samples, data, run.config.eval.batch_size, devices)

    def sample(state, key, n: int, given: np.ndarray | None = None):
        return apply(state, key, inputs_of(given), n)

    return sample


def inputs_of(given: np.ndarray | None) -> dict[str, np.ndarray]:
    """Returns the batch of labels [n] or of conditions [n, columns]; {} of None."""
    if given is None:
        return {}
    return {'label' if given.ndim == 1 else KEY: given}


def condition_sampler(run: Run, devices: Sequence[jax.Device]) -> Callable | None:
    """Returns given(state, key, n) -> what `sampler` draws x with, for this key and no request.

    These are classes [n], or conditions [n, columns]. None if the family draws none, or cannot tell
    them.
    """
    ability = run.family.ability(Sample)
    draw = ability and (ability.conditions if ability.reads_condition else ability.labels)
    if draw is None:
        return None
    apply = over_examples(
        lambda weights, batch, rng: draw(weights, rng),
        run.data._replace(preprocess=lambda inputs, keys: inputs),
        run.config.eval.batch_size,
        devices,
    )
    return lambda state, key, n: apply(state, key, {}, n)


def check_labels(run: Run, labels: Sequence[int | str]) -> Int[np.ndarray, 'labels']:
    """Checks the classes requested for samples, by number or name; returns them as int32.

    Raises:
      UserError: they are not classes of the training data, or the family is not class-conditional.
    """
    _check_conditional(run)
    spec = run.data.spec
    labels = [index_of(spec, each) if isinstance(each, str) else each for each in labels]
    if not len(labels) or not all(label in range(spec.num_classes) for label in labels):
        raise UserError(f'labels {list(labels)}: give classes of 0..{spec.num_classes - 1}')
    unseen = sorted({*labels} & {*spec.left_out})
    if unseen:
        raise UserError(
            f'training never saw the class {described(spec, unseen)}: choose of {described(spec)}'
        )
    return np.asarray(labels, np.int32)


def class_labels(run: Run, names: str) -> list[int]:
    """Returns the classes in a list with commas, by name or number, such as 'cat,dog' or '0,1'.

    Raises:
      UserError: the family is not class-conditional, or there is no such class.
    """
    _check_conditional(run)
    spec = run.data.spec
    if names in spec.class_names:  # a name may hold a comma
        return [spec.class_names.index(names)]
    return [index_of(spec, each) for each in names.split(',')]


def asked_by(condition: Condition) -> tuple[str, str]:
    """Returns what a condition holds, for messages, and the option that requests one."""
    if isinstance(condition, Words):
        return 'words', 'prompt'
    return ', '.join(map(escaped, condition.names)), 'condition'


def _check_conditional(run: Run) -> None:
    condition = run.data.spec.condition
    if reads_condition(run.family) and condition is not None:
        what, option = asked_by(condition)
        raise UserError(
            f'the model of {run.folder} is conditional on {what}, and not on classes: give '
            f'--{option} to --mode=sample'
        )
    if not is_class_conditional(run.family):
        raise UserError(
            f'the model of {run.folder} is not class-conditional and cannot sample a given class: '
            'train configs/cvae.py, configs/cgan.py or, with config.model.is_conditional, '
            'configs/diffusion.py or configs/gated_pixelcnn.py'
        )


def split_examples(
    run: Run, state, devices: Sequence[jax.Device], split: str, max_examples: int
) -> np.ndarray:
    """Returns up to `max_examples` x of a split, preprocessed as in evaluation, in a fixed order.

    Classes that training never saw are left out, since samples cannot represent them, unless the
    split has no others. Of packed rows of items, the items are the examples.
    """
    index, spec = order_of_known(run, split)[:max_examples], run.data.spec
    examples = {name: array[index] for name, array in run.data.splits[split].items()}
    if are_items(spec):
        examples = {'x': as_events(examples['x'], spec.num_dims)[:max_examples]}
    return preprocessed(run, state, devices, examples['x'], more=examples)


def preprocessed(
    run: Run,
    state,
    devices: Sequence[jax.Device],
    x: np.ndarray,
    data: Dataset | None = None,
    more: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Preprocesses stored x [n, *event] of `data`, by default the run's, as in evaluation.

    `more` are further arrays of these examples, which preprocessing may read.
    """
    data, size = data or run.data, run.config.eval.batch_size
    apply = over_examples(lambda weights, batch, rng: batch['x'], data, size, devices)
    return apply(state, key_for(state.key, Stream.EVALUATE), {**(more or {}), 'x': x}, len(x))


def labels_like(run: Run, split: str, max_examples: int) -> np.ndarray | None:
    """Returns the labels of the examples of `split_examples`, or None if not class-conditional.

    If training never saw any of them, these are the classes of training in turn.
    """
    if not is_class_conditional(run.family):
        return None
    index = order_of_known(run, split)[:max_examples]
    if not has_known_classes(run, split):
        return np.resize(np.array(run.data.spec.known_classes, np.int32), len(index))
    return np.asarray(run.data.splits[split]['label'], np.int32)[index]


def has_known_classes(run: Run, split: str) -> bool:
    """Whether an example of the split has a class that training saw, or there are no labels."""
    return bool(are_of(run, split, run.data.spec.known_classes).any())


def order_of_known(run: Run, split: str) -> np.ndarray:
    """Returns indices of a split in a fixed order, without classes that training never saw.

    They are those of all examples if training saw none of their classes.
    """
    order = fixed_order(run.data.size(split))
    is_known = are_of(run, split, run.data.spec.known_classes)[order]
    return order[is_known] if is_known.any() else order


def reconstructor(run: Run, devices: Sequence[jax.Device]) -> Callable | None:
    """Returns reconstruct(state, key, inputs, n) -> (x, reconstruction), or None if impossible."""
    if run.family.ability(Reconstruct) is None:
        return None

    def reconstruct(weights, batch, rng):
        return batch['x'], run.family.ability(Reconstruct).mean(weights, batch, rng)

    return over_examples(reconstruct, run.data, run.config.eval.batch_size, devices)


def save_columns(path: pathlib.Path, rows: Sequence[np.ndarray], spec) -> None:
    """Saves a grid of rows [columns, *event]; a column holds items that belong together."""
    image_grids.save(path, image_grids.grid(np.concatenate(rows), spec, columns=len(rows[0])))
