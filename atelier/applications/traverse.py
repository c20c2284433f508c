"""Moves one latent dimension at a time and decodes it, in the order of KL."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from atelier.applications import _common, _pictures
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application
from atelier.applications._example_condition import example_condition
from atelier.core.family import Family, codes_of
from atelier.data.classes import option_of
from atelier.data.spec import Spec
from atelier.errors import UserError, check_option
from atelier.evaluation.codes.encoding import encoded, latents
from atelier.evaluation.latents.dimensions import (
    Order,
    layers_of,
    moved,
    order_by_codes,
    order_by_x,
    over,
    point_names,
    prior_codes,
    traversed_values,
)
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (DECODE, ENCODE | PRIOR)
HELD = ('example', 'mean')


class Options(NamedTuple):
    """The options of `apply`, after checks: `label` is a number, below 0 if none is given."""

    num_dims: int = 10
    num_points: int = 9
    held: str = 'example'
    index: int = -1
    seed: int = 0
    label: int = -1


class Held(NamedTuple):
    """The code [codes] whose other dimensions are held, what it is, and its test index."""

    code: np.ndarray
    description: str
    index: int | None = None


def apply(
    run: Run,
    num_dims: int = 10,
    num_points: int = 9,
    held: str = 'example',
    index: int = -1,
    seed: int = 0,
    label: int | str = -1,
) -> dict[str, np.ndarray]:
    """Decodes codes in which one dimension moves and the others are held: a row per dimension.

    Rows are in the order of the mean KL of q(z_i | x) to the prior over the test split. Without a
    posterior, the order is that of the variance of the test codes and, without an encoder, that of
    the variance of x along the row.

    Under the prior N(0, I) of a family with a `posterior`, a dimension moves from -3 to 3.
    Otherwise it moves over quantiles, from 1 % to 99 %, of draws from the prior or, without one, of
    the test codes. If a code has several stochastic layers, and a dimension of an upper layer
    moves, then the layers below it are the means of the model given that layer.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      num_dims: number of dimensions to show, in order.
      num_points: number of values of each.
      held: where the others are: at the code of an example (without an encoder, at a draw from the
        prior), or at the mean of the prior (without one, of the test codes).
      index: test index of the example; below 0, a random one.
      seed: seed of the random example, and of draws from the prior.
      label: class, by number or name, if codes end in one; below 0, that of the example.

    Returns:
      dimension [rows], of the code, and layer [rows], from 1; values [rows, points]; codes [rows,
      points, codes] and x [rows, points, *event]; held [codes]; kl_nats, code_variance or
      x_variance [latent], the order of all dimensions; for an example also index, file, row and
      label [1]; of items, texts that end, decoded_text [rows, points], which a .txt has too.

    Raises:
      UserError: a missing checkpoint, an invalid option, or no such example.
    """
    options = _checked(run, Options(num_dims, num_points, held, index, seed, label))
    trained = restore.load(run)
    arrays, order, base = compute(trained, options)
    rows = counted(len(arrays['dimension']), 'dimension')
    log.info('%s by %s, decoded by the model of the %s', rows, order.description, trained.weights)
    names = _row_names(run.family, arrays, order)
    log.info('the others are held at %s; %s', base.description, '; '.join(names))
    changed = {name: value for name, value in options._asdict().items() if name != 'seed'}
    name = f'traverse-seed-{seed}{_common.changed_options(apply, **changed)}'
    results = {'order': order.description, 'held': base.description, 'dimensions': names}
    path = _common.save(trained, name, arrays, results if reads(run) else None)
    what = f'Latent dimensions by {order.description}, moved {over(run.family)}'
    title = f'{what}; the others at {base.description}'
    _save_picture(trained, arrays['x'], title, names, path)
    return arrays


def _checked(run: Run, options: Options) -> Options:
    """Checks the options; returns them with the class as a number.

    Raises:
      UserError: an option is invalid.
    """
    index, has_encoder = options.index, codes_of(run.family).encode is not None
    _common.at_least(1, num_dims=options.num_dims)
    _common.at_least(2, num_points=options.num_points)
    _common.check_outputs(run, num_dims=options.num_dims, num_points=options.num_points)
    _common.check_seed(options.seed)
    check_option('held', options.held, HELD)
    if has_encoder:
        _common.check_split(run, 'test', max(index, 0) + 1, f'there is no --index={max(index, 0)}')
    if index >= 0 and not (has_encoder and options.held == 'example'):
        raise UserError(f'--index={index}: no example is encoded, so leave it out')
    label = option_of(run.data.spec, 'label', options.label)
    if label >= 0:
        _common.check_label_of_codes(run, label)
    return options._replace(label=label)


def compute(trained: TrainedRun, options: Options) -> tuple[dict[str, np.ndarray], Order, Held]:
    """Orders, moves and decodes the dimensions; returns the arrays of `apply`."""
    run, space = trained.run, codes_of(trained.run.family)
    codes = None
    if space.encode is not None:
        codes, _ = encoded(run, trained.state, run.data.splits['test'], trained.devices)
    spread = codes if space.prior is None else prior_codes(trained, options.seed)
    held = _held(trained, codes, spread, options)
    values = traversed_values(run.family, spread, options.num_points)
    if codes is None:
        everything = moved(trained, held.code, np.arange(len(values)), values)[1]
        order = order_by_x(everything)
    else:
        order = order_by_codes(trained, codes)
    shown = np.argsort(-order.values, kind='stable')[: options.num_dims]
    moved_codes, x = moved(trained, held.code, shown, values[shown])
    arrays = {
        'dimension': shown,
        'layer': layers_of(run.family, len(values))[0][shown],
        'values': values[shown],
        'codes': moved_codes,
        'x': x,
        **texts.arrays_of(x, run.data.spec, texts.DECODED),
        'held': held.code,
        order.name: order.values,
    }
    if held.index is not None:
        index = np.asarray([held.index])
        arrays |= {'index': index, **_common.origins_of(run, index)}
    return arrays, order, held


def _held(
    trained: TrainedRun, codes: np.ndarray | None, spread: np.ndarray, options: Options
) -> Held:
    """Returns the code of the dimensions that do not move.

    A class at its end is `--label` or, below 0, that of the code; a mean has the first class, or a
    condition of training.
    """
    run, space, index = trained.run, codes_of(trained.run.family), None
    if options.held == 'mean':
        which = 'the test codes' if space.prior is None else 'the prior'
        code, description = spread.mean(0, np.float64).astype(np.float32), f'the mean of {which}'
        if space.posterior is not None:  # the prior is N(0, I)
            code = np.zeros_like(code)
    elif codes is None:
        code, description = spread[0].copy(), 'a draw from the prior'
    else:
        index = options.index
        if index < 0:
            (index,) = _common.random_test_indices(run, 1, options.seed).tolist()
        code, description = codes[index].copy(), f'the code of test example {index}'
    if space.has_class:
        classes = code[latents(run.family, code).size :]
        label = options.label
        if label < 0:
            is_mean = options.held == 'mean'
            label = run.data.spec.known_classes[0] if is_mean else int(classes.argmax())
        classes[:] = np.arange(len(classes)) == label
        description += f', as class {run.data.spec.class_name(label)}'
    elif options.held == 'mean' and (condition := example_condition(run)) is not None:
        code[len(code) - len(condition.features) :] = condition.features
        description += f', given {condition.description}'
    return Held(code, description, index)


def _row_names(family: Family, arrays: dict[str, np.ndarray], order: Order) -> list[str]:
    """Returns a name per row, such as 'z[3]  1.25 nats', or 'z2[3]  1.25 nats' with layers."""
    layers, within = layers_of(family, len(order.values))
    has_layers = layers.max() > 1
    return [
        f'z{layers[each] if has_layers else ""}[{within[each]}]  '
        f'{order.template.format(order.values[each])}'
        for each in arrays['dimension']
    ]


def _save_picture(
    trained: TrainedRun, x: np.ndarray, title: str, names: list[str], path: pathlib.Path
) -> None:
    """Draws a row of x per dimension, if the data have a view: among test data if no images."""
    run = trained.run
    view = view_of(run.data.spec)
    if view is None:
        return
    columns, among = point_names(run.family, x.shape[1]), _pictures.among(trained)
    _common.save_picture(path, view.rows(x, run.data.spec, title, names, columns, among))
    _common.save_rows_as_text(path.with_suffix('.txt'), x, run.data.spec, names, columns)


def _refusal(family: Family, spec: Spec) -> str:
    """Returns why codes have no dimensions to move, or ''."""
    del spec
    if codes_of(family).tokens is None:
        return ''
    return 'has codes from a codebook, in which no single dimension can move: try --mode=sample'


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model without an encoder."""
    del options
    has_encoder = codes_of(run.family).encode is not None
    return 'it orders dimensions by the codes of test examples' if has_encoder else ''


APPLICATION = Application(apply, NEEDS, _refusal, reads=reads, only_test=True)
