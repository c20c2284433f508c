"""Draws what a model consists of: its tree, its components or its codebook."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from atelier.applications import _codebook_figure, _common, _means_figure, _tree_figure
from atelier.applications._application import Application, Need, needs
from atelier.core.abilities import Components, DependenceTree
from atelier.core.family import Family, codes_of
from atelier.data import kinds
from atelier.evaluation.codes.encoding import decoded, encoded, tokens
from atelier.log import counted, listed, log
from atelier.report.figure_text import figure_text
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

TREE = needs(DependenceTree, 'dependence tree')
MIXTURE = Need('mixture components', lambda family: _means_of(family) is not None)
CODEBOOK = Need('codebook', lambda family: codes_of(family).tokens is not None)
NEEDS = (TREE | MIXTURE | CODEBOOK,)
MAX_COMPONENTS = 40  # in a figure: those of the largest weights
NAMED = 5  # edges in the log


def apply(run: Run, num_images: int = 8, num_codes: int = 16) -> dict[str, np.ndarray]:
    """Writes the structure of a model as numbers, and draws it.

    A Chow-Liu tree: each dimension with its parent, and their mutual information under the model.
    Over the pixels of images the edges lie on the grid; other data have a tree in layers.

    A mixture, or naive Bayes: the weight and the mean of each component, or of each class. Means of
    tables have no figure.

    A codebook: how often each code is used in the test split, the perplexity exp(H) of this use,
    test images with the maps of their codes and their reconstructions, and what the most used
    codes decode to if one of them stands at every position.

    Args:
      run: of a family with a tree, with mixture components or with a codebook.
      num_images: number of test images shown, for a codebook.
      num_codes: number of codes decoded, for a codebook.

    Returns:
      of a tree: parent [dims], the root its own parent, and mutual_information_nats [dims], 0 for
      the root; of a mixture: weight [components] and mean [components, *event]; of a codebook:
      count [codes], tokens [n, positions] of the test split, index [images] of the shown examples,
      reconstruction [images, *event], code [shown codes], the most used first, and decoded [shown
      codes, *event].

    Raises:
      UserError: a missing checkpoint, a bad option, or no examples.
    """
    _common.at_least(1, num_images=num_images, num_codes=num_codes)
    _common.check_outputs(run, num_images=num_images)
    _common.check_outputs(run, num_codes=num_codes)
    if CODEBOOK.is_met(run.family):
        _common.check_split(run, 'test', 1, 'there is nothing to encode')
    trained = restore.load(run)
    if TREE.is_met(run.family):
        return _tree(trained)
    if MIXTURE.is_met(run.family):
        return _mixture(trained)
    return _codebook(trained, num_images, num_codes)


def _means_of(family: Family) -> Callable | None:
    components = family.ability(Components)
    return None if components is None else components.weights_and_means


def _tree(trained: TrainedRun) -> dict[str, np.ndarray]:
    run = trained.run
    edges = jax.jit(run.family.ability(DependenceTree).edges)
    parent, nats = jax.device_get(edges(trained.state.averaged_weights))
    arrays = {'parent': parent, 'mutual_information_nats': nats}
    strongest = np.argsort(-nats, kind='stable')[: min(NAMED, len(nats) - 1)]
    results = {
        'kind': 'mutual information under the model, in nats',
        'total_nats': float(nats.sum(dtype=np.float64)),
        'strongest': [[int(parent[i]), int(i), float(nats[i])] for i in strongest],
    }
    path = _common.save(trained, 'structure', arrays, results)
    name = _tree_figure.names(run.data.spec)
    log.info(
        'tree of %s in the model of the %s: %.2f nats of mutual information; the strongest: %s',
        counted(len(parent) - 1, 'edge'),
        trained.weights,
        results['total_nats'],
        listed([f'{name(parent[i])} - {name(i)} {nats[i]:.2f}' for i in strongest], NAMED),
    )
    _common.draw_figure(path, _tree_figure.figure(parent, nats, run.data.spec))
    return arrays


def _mixture(trained: TrainedRun) -> dict[str, np.ndarray]:
    run, spec = trained.run, trained.run.data.spec
    components = run.family.ability(Components)
    values = jax.jit(components.weights_and_means)(trained.state.averaged_weights)
    weight, mean = jax.device_get(values)
    arrays = {'weight': weight, 'mean': mean}
    path = _common.save(trained, 'structure', arrays)
    log.info('%s of the model of the %s', counted(len(weight), 'component'), trained.weights)
    shown = np.arange(len(weight))
    if not components.are_classes:
        shown = np.argsort(-weight, kind='stable')
    shown = shown[weight[shown] > 0][:MAX_COMPONENTS]
    names = [spec.class_name(k) if components.are_classes else '' for k in shown.tolist()]
    which = 'classes' if components.are_classes else 'components'
    if len(shown) < len(weight):
        which = f'{len(shown)} {which} (of {len(weight)})'
    title = f'Means and weights of the {which}'
    if _means_figure.can_draw(spec):
        means = _means_figure.figure(mean[shown], weight[shown], names, spec, title)
        _common.draw_figure(path, means)
    elif kinds.kind_of(spec) in (kinds.IMAGES, kinds.SIGNALS):
        captions = [
            f'{name}: {w:.3f}' if name else f'{w:.3f}'
            for name, w in zip(names, weight[shown], strict=True)
        ]
        _common.save_picture(path, view_of(spec).ranked(mean[shown], captions, spec, title))
    else:
        log.info('no figure: means are drawn of images, signals, points of a plane and values')
    return arrays


def _codebook(trained: TrainedRun, num_images: int, num_codes: int) -> dict[str, np.ndarray]:
    run, codes = trained.run, codes_of(trained.run.family).tokens
    arrays = codebook_in_use(trained, num_images, num_codes)
    used, size = int(np.count_nonzero(arrays['count'])), codes.size
    results = {
        'perplexity': perplexity(arrays['count']),
        'codes_used': used,
        'codebook_size': size,
        'num_positions': arrays['tokens'].shape[1],
    }
    options = dict(num_images=num_images, num_codes=num_codes)
    name = f'structure{_common.changed_options(apply, **options)}'
    path = _common.save(trained, name, arrays, results)
    log.info(
        'codebook of the model of the %s: perplexity %.1f, %d of %s in use, %s an example',
        trained.weights,
        results['perplexity'],
        used,
        counted(size, 'code'),
        counted(results['num_positions'], 'code'),
    )
    examples = figure_text(_common.described_examples(run))
    title = f'Codes of {examples}: {used} of {size} in use, perplexity {results["perplexity"]:.1f}'
    x = run.data.splits['test']['x'][arrays['index']]
    figure = _codebook_figure.figure(arrays, x, run.data.spec, codes.map_shape, title)
    _common.draw_figure(path, figure)
    return arrays


def codebook_in_use(trained: TrainedRun, num_images: int, num_codes: int) -> dict[str, np.ndarray]:
    """Encodes the test split, and decodes some examples and single codes; see `apply`."""
    run, state, devices = trained.run, trained.state, trained.devices
    split = run.data.splits['test']
    indices = tokens(run, state, split, devices)
    count = np.bincount(indices.ravel(), minlength=codes_of(run.family).tokens.size)
    codes, _ = encoded(run, state, split, devices)
    index = _common.random_test_indices(run, num_images, 0)
    code = np.argsort(-count, kind='stable')[: min(num_codes, np.count_nonzero(count))]
    vectors = codes.reshape(*indices.shape, -1)
    first = [np.argwhere(indices == each)[0] for each in code]  # an example, and a position in it
    everywhere = np.stack([np.tile(vectors[tuple(at)], indices.shape[1]) for at in first])
    return {
        'count': count,
        'tokens': indices,
        'index': index,
        'reconstruction': decoded(run, state, codes[index], devices),
        'code': code,
        'decoded': decoded(run, state, everywhere, devices),
    }


def perplexity(count: Int[np.ndarray, 'codes']) -> float:
    """Returns exp(H) of the shares of counts: the number of codes of the same use."""
    share = count[count > 0] / count.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read: to see which codes of a codebook are used."""
    del options
    return 'it counts the codes of test examples' if CODEBOOK.is_met(run.family) else ''


APPLICATION = Application(apply, NEEDS, reads=reads, only_test=True)
