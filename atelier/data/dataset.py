"""The common format of all data sets: arrays in host memory, a Spec, per-batch preprocessing."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from atelier.data import fingerprints, preprocess
from atelier.data.checksums import checksum
from atelier.data.left_out import leave_out
from atelier.data.modes import Modes
from atelier.data.moments import moments
from atelier.data.splits import check_rule, hold_out
from atelier.errors import UserError, choose, short_repr

POINTS = ('ring', 'grid', 'eight_gaussians', 'moons', 'checkerboard')  # sources of toy points
SOURCES = ('digits', 'static_mnist', 'shapes', 'arrays', 'folder', 'text', *POINTS)
SETTINGS = ('data_dir', 'path', 'image_shape')  # fields of config.data that some sources read


class Spec(NamedTuple):
    """What a model has to know about its data.

    `levels`: x takes the discrete values 0, 1, ..., levels - 1; None: any real number.
    `num_classes`: labels are 0, ..., num_classes - 1; None: there are no labels.
    `dequantized_levels`: x is one of this many levels plus noise in [0, 1); None: it is not.
    `mean` and `std`: of real-valued training data: per column if events have one axis (a table),
      otherwise over all their values.
    `left_out`: classes that occur only in the test split, never in training.
    `symbols`: for text, the symbol of each level.
    """

    event_shape: tuple[int, ...]
    levels: int | None
    num_classes: int | None
    dequantized_levels: int | None = None
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    left_out: tuple[int, ...] = ()
    symbols: str | None = None

    __repr__ = short_repr  # for notebooks

    @property
    def known_classes(self) -> tuple[int, ...]:
        """The classes that occur in training; none if the data have no labels."""
        return tuple(n for n in range(self.num_classes or 0) if n not in self.left_out)

    @property
    def format(self) -> str:
        """The fields as text, except those known from the training data or the config."""
        fields = self._replace(mean=0.0, std=1.0)._asdict()  # moments follow from 'train'
        del fields['left_out']  # it is in the config
        symbols = fields.pop('symbols')
        if symbols is not None:
            fields['symbols'] = ascii(symbols)
        return ', '.join(f'{name} {value}' for name, value in fields.items())

    @property
    def num_dims(self) -> int:
        """Number of values in one event: the D of bits per dimension."""
        return int(np.prod(self.event_shape))

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels) if events have rows and columns, else None."""
        return (*self.event_shape, 1)[:3] if len(self.event_shape) in (2, 3) else None

    def bits_per_dim(self, nats: Array | np.ndarray) -> Array | np.ndarray:
        """Converts nats per event to bits per dimension."""
        return nats / (self.num_dims * math.log(2))

    @property
    def has_bits_per_dim(self) -> bool:
        """Whether x has levels, or is dequantized, so that its NLL bounds that of the levels."""
        return self.levels is not None or self.dequantized_levels is not None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The smallest and the largest value that x can take, if they are known."""
        if self.levels is not None:
            return 0.0, self.levels - 1.0
        if self.dequantized_levels is not None:
            return 0.0, float(self.dequantized_levels)
        return None

    def normalize(self, x: Array | np.ndarray) -> Array:
        """Scales x to [0, 1], or to mean 0 and standard deviation 1, as networks see it."""
        shift, scale = self.affine(x.shape)
        return (x - shift) / scale

    def denormalize(self, x: Array | np.ndarray) -> Array:
        """The inverse of `normalize`."""
        shift, scale = self.affine(x.shape)
        return shift + scale * x

    def affine(self, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Returns the shift and scale of `denormalize`, broadcast to x of this shape."""
        if self.interval is None:
            shift, scale = self.mean, self.std
        else:
            shift, scale = self.interval[0], self.interval[1] - self.interval[0]
        broadcast = lambda value: jnp.broadcast_to(jnp.asarray(value, jnp.float32), shape)
        return broadcast(shift), broadcast(scale)


class Dataset(NamedTuple):
    """Splits 'train', 'valid', 'test' of arrays 'x' [n, *event] and, where known, 'label' [n].

    'factors' [n, factors] are the generative factors of each example where they are known, each as
    the index of its value; `factor_names` names them. 'num_scored' [n], if present, says that the
    likelihood of an example counts only its last `num_scored` values. Arrays have their stored type
    (uint8 if their values fit) and may be memory-mapped. `preprocess` makes the batch that models
    see, on the device, from one key per example: {'x': float32, 'label': int32, ...}. `description`
    describes `x`. `modes` are the modes of the density that the data were drawn from, if known.
    `split_rule` describes which splits were made by content, and how; '': none.
    """

    name: str
    spec: Spec
    splits: dict[str, dict[str, np.ndarray]]
    description: str
    preprocess: Callable[[dict[str, Array], UInt32[Array, 'local 2']], dict[str, Array]] = (
        preprocess.as_float
    )
    factor_names: tuple[str, ...] = ()
    modes: Modes | None = None
    split_rule: str = ''

    def __repr__(self) -> str:
        """Short, for notebooks: the splits are whole arrays."""
        sizes = ', '.join(f'{split}={self.size(split)}' for split in self.splits)
        return f'Dataset({self.name!r}, {self.description!r}, {sizes})'

    def size(self, split: str) -> int:
        """Returns the number of examples of a split."""
        return len(self.splits[split]['x'])

    def scored_dims(self, split: str) -> float:
        """Returns the mean number of values that the likelihood of an example in a split counts."""
        scored = self.splits[split].get('num_scored')
        return self.spec.num_dims if scored is None else float(np.mean(scored))

    def fingerprint(self, *splits: str) -> dict[str, str]:
        """Returns what identifies the data: the format of x, and each split's size and checksum.

        Covers the named splits, or all and the rule that made them. Large ones take a while.
        """
        fingerprint = {'x': self.spec.format}
        if self.split_rule and not splits:
            fingerprint['split_rule'] = self.split_rule
        for name in sorted(splits or self.splits):
            total = 0
            for _, array in sorted(self.splits[name].items()):
                total = checksum(array, total)
            fingerprint[name] = fingerprints.of_split(self.size(name), total)
        return fingerprint


def load(config, may_prepare: bool = False) -> Dataset:
    """Loads the data set that `config.data` names, with all three splits and its preprocessing.

    With `may_prepare`, TFDS may download it: only if the user names it now, not if a record does.

    Raises:
      UserError: a setting is invalid, or the source raises it.
    """
    data = config.data
    # checked before the source spends time decoding
    choose('data.binarize', data.binarize, preprocess.BINARIZATIONS)
    choose('data.dequantize', data.dequantize, preprocess.DEQUANTIZATIONS)
    accepted = settings_of(data.name)
    check_rule(data, 'split_by' in accepted)
    for name in SETTINGS:
        if data[name] and name not in accepted:
            setting = f'config.data.{name}={data[name]!r}'
            raise UserError(f'{setting}: {data.name} does not read it: omit it')
    missing = [name for name, needed in accepted.items() if needed and name not in data]
    if missing:
        lacking = f'config.data.{missing[0]}, which this config lacks'
        raise UserError(f'{data.name} needs {lacking}: choose a config for such data')
    source = _source(data.name, may_prepare)
    loaded = source(**{name: data[name] for name in accepted if name in data})
    loaded = loaded._replace(splits=hold_out(loaded.splits, data.num_valid))
    if loaded.split_rule:
        loaded = loaded._replace(description=f'{loaded.description}, split by content')
    # before classes are left out, so that the fixed draw of an example does not depend on them
    loaded = binarized(loaded, data.binarize)
    loaded = without_classes(loaded, tuple(data.without_classes))
    if loaded.spec.levels is None:
        loaded = loaded._replace(spec=with_moments(loaded.spec, loaded.splits['train']['x']))
    return dequantized(loaded, data.dequantize)


def settings_of(name: str) -> dict[str, bool]:
    """Returns {field of config.data that the source takes: whether it is required}."""
    parameters = inspect.signature(_source(name)).parameters
    return {field: parameter.default is parameter.empty for field, parameter in parameters.items()}


def _source(name: str, may_prepare: bool = False) -> Callable[..., Dataset]:
    """Returns the `load` of a source, imported here because its imports may be heavy."""
    match name:
        case 'digits':
            from atelier.data.digits import load
        case 'static_mnist':
            from atelier.data.static_mnist import load
        case 'shapes':
            from atelier.data.shapes import load
        case 'arrays':
            from atelier.data.arrays import load
        case 'folder':
            from atelier.data.folder import load
        case 'text':
            from atelier.data.text import load
        case _ if name in POINTS:
            from atelier.data.toy import load
        case _ if may_prepare:  # any other name is a TFDS data set
            from atelier.data.tfds_images import prepare_and_load as load
        case _:
            from atelier.data.tfds_images import load
    return load


def without_classes(data: Dataset, classes: tuple) -> Dataset:
    """Returns `data` with `classes` only in its test split; labels keep their values.

    Raises:
      UserError: as `leave_out`.
    """
    if not classes:
        return data
    splits = leave_out(data.splits, classes, data.spec.num_classes)
    description = f'{data.description}, without {", ".join(map(str, classes))} in training'
    spec = data.spec._replace(left_out=tuple(sorted({*classes})))
    return data._replace(splits=splits, spec=spec, description=description)


def with_moments(spec: Spec, x: np.ndarray) -> Spec:
    """Returns `spec` with mean and std of real-valued training x [n, *event]; std 1 if constant."""
    mean, std = moments(x)
    plain = (lambda a: tuple(a.tolist())) if x.ndim == 2 else np.ndarray.item
    return spec._replace(mean=plain(mean), std=plain(np.where(std > 0, std, 1.0)))


def binarized(data: Dataset, method: str) -> Dataset:
    """Returns `data` with grey levels binarised to {0, 1} by the rule `method`; 'none': unchanged.

    'stochastic' draws afresh every time an example is read, except in 'valid' and 'test', whose
    single draw is the same for every run and seed.

    Raises:
      UserError: unknown `method`, or the data are real-valued or symbols.
    """
    rule = _rule_for_levels(data, 'data.binarize', method, preprocess.BINARIZATIONS)
    if rule is None:
        return data
    top, splits = data.spec.levels - 1, dict(data.splits)
    if rule is preprocess.stochastic:
        for name in {'valid', 'test'} & {*splits}:
            splits[name] = {**splits[name], 'x': preprocess.fixed_draw(splits[name]['x'], top)}
    return data._replace(
        spec=data.spec._replace(levels=2),
        splits=splits,
        preprocess=preprocess.then(data.preprocess, functools.partial(rule, top=top)),
        description=f'{data.description}, binarised: {method}',
    )


def dequantized(data: Dataset, method: str) -> Dataset:
    """Returns `data` with noise in [0, 1) added to its levels by `method`; 'none': unchanged.

    Raises:
      UserError: unknown `method`, or the data are real-valued or symbols.
    """
    rule = _rule_for_levels(data, 'data.dequantize', method, preprocess.DEQUANTIZATIONS)
    if rule is None:
        return data
    return data._replace(
        spec=data.spec._replace(levels=None, dequantized_levels=data.spec.levels),
        preprocess=preprocess.then(data.preprocess, rule),
        description=f'{data.description}, dequantised: {method}',
    )


def _rule_for_levels(data: Dataset, field: str, method: str, rules: dict) -> Callable | None:
    """Returns the rule that the config field names; real values and symbols allow only None."""
    rule = choose(field, method, rules)
    if rule is not None and data.spec.levels is None:
        raise UserError(f'config.{field}={method!r}: {data.name} is real-valued')
    if rule is not None and data.spec.symbols is not None:
        raise UserError(
            f"config.{field}={method!r}: {data.name} has symbols, not numbers; set 'none'"
        )
    return rule
