"""Shared by the applications: checks of options, and writing of arrays and figures."""

import inspect
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from atelier import files
from atelier.core.family import codes_of, is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from atelier.errors import UserError, about
from atelier.evaluation.examples.given import SPLIT_SUFFIX
from atelier.evaluation.per_example import example_table
from atelier.evaluation.samples.sampling import check_labels
from atelier.log import counted, log
from atelier.paths import user_path
from atelier.report import figures, texts
from atelier.report.views.image_view import IMAGES
from atelier.run import limits, result_names
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

CLASSES = ('label', 'predicted', 'test_label')  # columns that hold classes
MAX_OPTION = 2**31 - 1  # largest value in `at_least`


def at_least(least: int, most: int = MAX_OPTION, **options: int) -> None:
    """Checks that options lie in [least, most]; by default 32 bits hold them.

    Raises:
      UserError: an option is smaller or larger; the message names it, its value and the limit.
    """
    for name, value in options.items():
        if value < least:
            raise UserError(f'--{name}={value}: it must be at least {least}')
        if value > most:
            raise UserError(f'--{name}={value}: it must be at most {most:,}')


def check_outputs(run: Run, factor: int = 1, **options: int) -> None:
    """Checks that memory holds `factor` times the product of the options, in examples.

    Raises:
      UserError: it does not; the message names the options.
    """
    names = ' '.join(f'--{name}={value}' for name, value in options.items())
    limits.check_examples(names, factor * math.prod(options.values()), run.data.spec)


def check_label_of_codes(run: Run, label: int) -> None:
    """Checks the class that `--label` gives for the end of a code.

    A model of the codes of another run may be class-conditional, though those codes hold no class.

    Raises:
      UserError: the codes hold no class, or the model does not know this one.
    """
    if not codes_of(run.family).has_class:
        is_conditional = is_class_conditional(run.family)
        lacks = 'the codes of this model hold no class'
        why = lacks if is_conditional else 'this model is not class-conditional'
        raise UserError(f'--label={label}: {why}, give no --label')
    with about(f'--label={label}'):
        check_labels(run, [label])


def check_seed(seed: int) -> None:
    """Checks that a seed fits into 32 bits.

    Raises:
      UserError: the seed does not fit.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f'--seed={seed}: it must lie in 0..2**32 - 1')


def check_split(run: Run, split: str, least: int, why: str) -> None:
    """Checks that a split has at least `least` examples.

    Raises:
      UserError: the split has fewer; the message ends with `why`, the reason or consequence.
    """
    if run.data.size(split) < least:
        which = (
            f'the {split} split of {run.data.name}' if split != 'test' else described_examples(run)
        )
        raise UserError(
            f'{which} has {counted(run.data.size(split), "example")}, fewer than {least}: {why}'
        )


def are_given(run: Run) -> bool:
    """Whether examples of the user's own (--data) are in place of the test split."""
    suffix = run.data.origins.suffix if run.data.origins else ''
    return bool(suffix) and not suffix.startswith(SPLIT_SUFFIX)


def described_examples(run: Run) -> str:
    """Returns what the examples in place of the test split are: a split or a file."""
    suffix = run.data.origins.suffix if run.data.origins else ''
    if are_given(run):
        number = counted(run.data.size('test'), 'example')
        return run.data.description.partition(f', {number}')[0]
    return f'the {suffix.removeprefix(SPLIT_SUFFIX) or "test"} split of {run.data.name}'


def random_test_indices(run: Run, n: int, seed: int) -> np.ndarray:
    """Returns n random test indices; a larger n appends to them.

    Returns all test indices if there are fewer than n.
    """
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    return np.asarray(jax.random.permutation(key, run.data.size('test')))[:n]


def origins_of(run: Run, index: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Returns 'file' [n] and 'row' [n] of the test examples, or of those at `index`.

    With them comes their 'label' [n], if the data have labels, and the 'text' [n] of items.
    """
    columns, split = run.data.origin_of('test', index), run.data.splits['test']
    if 'label' in split:
        label = np.asarray(split['label'])
        columns['label'] = label if index is None else label[index]
    x = split['x'] if index is None else split['x'][index]
    return {**columns, **texts.arrays_of(x, run.data.spec)}


def changed_options(apply: Callable[..., Any], **options: Any) -> str:
    """Returns the options of `apply` that differ from its defaults, for a file name.

    `options` holds those that change the results. An option that only adds further results, such as
    a number of samples, is left out of the name.
    """
    defaults = inspect.signature(apply).parameters
    changed = {name: value for name, value in options.items() if value != defaults[name].default}
    return result_names.suffix(**changed)


def path_suffix(**paths: str) -> str:
    """Returns '-NAME-CHECKSUM' of each path that is not empty, after making it absolute."""
    whole = {name: str(user_path(path).resolve()) for name, path in paths.items() if path}
    checksums = {name: result_names.checksum_of_text(path) for name, path in whole.items()}
    return result_names.suffix(**checksums)


def results_path(run: Run, name: str, ending: str) -> pathlib.Path:
    """Returns the path of results, whose name ends with the examples and settings that differ."""
    examples = run.data.origins.suffix if run.data.origins else ''  # '': those of the test split
    settings = result_names.settings_suffix(run)
    return run.folder / 'applications' / f'{name}{examples}{settings}{ending}'


def save(
    trained: TrainedRun,
    name: str,
    arrays: dict[str, np.ndarray],
    results: dict[str, Any] | None = None,
    table: Sequence[str] | Mapping[str, np.ndarray] = (),
) -> pathlib.Path:
    """Writes the arrays to NAME.npz and returns NAME.png, the path for a figure of them.

    Settings of `config.eval` that differ from the run's are appended to NAME. The main results,
    `results`, go to NAME.json, after descriptions of the data and the weights. The arrays that
    `table` names or holds go to NAME.csv too, with one line an example; their first axis is the
    examples. Classes have their names beside them there.

    Raises:
      UserError: a file cannot be written.
    """
    path = results_path(trained.run, name, '.npz')
    files.write_arrays(path, arrays)
    log.info('arrays: %s', path)
    if table:
        is_whole = isinstance(table, Mapping)
        columns = dict(table) if is_whole else {name: arrays[name] for name in table}
        columns = with_class_names(columns, trained.run.data.spec)
        example_table.write(path.with_suffix('.csv'), columns)
        log.info('table: %s', path.with_suffix('.csv'))
    if results is not None:
        source = {'data': trained.run.data.description, 'weights': trained.weights}
        files.write_json(path.with_suffix('.json'), {**source, **results})
    return path.with_suffix('.png')


def with_class_names(columns: dict[str, np.ndarray], spec: Spec) -> dict[str, np.ndarray]:
    """Returns the columns, and NAME_name [n] after each that holds classes, if they have names."""
    named = {}
    for name, column in columns.items():
        named[name] = column
        if name in CLASSES and spec.class_names:
            named[f'{name}_name'] = np.array([spec.class_name(int(each)) for each in column])
    return named


def draw_grid(
    path: pathlib.Path,
    x: np.ndarray,
    spec: Spec,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    across: str = '',
) -> None:
    """Writes images [..., *event] as a grid, in order, with one column per name in `columns`.

    `across` says what these names are.

    Raises:
      UserError: the file cannot be written.
    """
    lines = x.reshape(-1, len(columns), *spec.event_shape)
    save_picture(path, IMAGES.rows(lines, spec, title, rows, columns, across=across))


def save_rows_as_text(
    path: pathlib.Path, x: np.ndarray, spec: Spec, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Writes rows of items x [rows, columns, length] as a .txt; other data are not written.

    Raises:
      UserError: the file cannot be written.
    """
    if are_items(spec):
        files.write_text(path, texts.of_rows(x, spec, rows, columns))
        log.info('text: %s', path)


def draw_figure(path: pathlib.Path, figure) -> None:
    """Writes a matplotlib figure.

    Raises:
      UserError: the file cannot be written.
    """
    save_picture(path, figures.pixels(figure))


def save_picture(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 [height, width, 1 or 3], as a PNG.

    Raises:
      UserError: the file cannot be written.
    """
    figures.save_picture(path, picture)
    log.info('figure: %s', path)
