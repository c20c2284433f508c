"""Properties that every public function of `losses` must have.

A new function needs one entry in EXAMPLES, or `test_has_an_entry` fails. If a function cannot have
a property, its entry names the property and the reason in `exempt`.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import losses

pytestmark = pytest.mark.usefixtures('strict_promotion')

PROMISES = ('jit', 'gradient', 'vmap', 'output_shape', 'finite', 'rows', 'broadcast')


class Entry(NamedTuple):
    """Example inputs of one function. Mappings are keyed by argument name, `exempt` by promise."""

    arguments: Mapping[str, Any]  # arrays and traced scalars of an ordinary call
    extreme: tuple[Mapping[str, Any], ...]  # replacements for each extreme call
    static: Mapping[str, Any] = {}  # Python arguments, never traced: level counts, functions
    batch_axis: Mapping[str, int | None] = {}  # if not 0; None: shared by all examples
    free_axes: Mapping[str, tuple[int, ...]] = {}  # axes whose length no other argument determines
    exempt: Mapping[str, str] = {}  # promise -> why this function cannot keep it

    def axis_of(self, name):
        return self.batch_axis.get(name, 0)

    @property
    def batch_size(self):
        return next(
            np.shape(value)[self.axis_of(name)]
            for name, value in self.arguments.items()
            if self.axis_of(name) is not None
        )

    @property
    def calls(self):
        return (self.arguments, *({**self.arguments, **change} for change in self.extreme))


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def random_integers(seed, below, *shape):
    return jnp.asarray(np.random.default_rng(seed).integers(below, size=shape), jnp.float32)


def both_signs(size, *shape):
    """+size and -size, alternating along the flattened axes, so that each row has both signs."""
    signs = np.where(np.arange(np.prod(shape)) % 2, -1.0, 1.0)
    return jnp.asarray(size * signs.reshape(shape), jnp.float32)


def kl_standard_normal():
    return Entry(
        arguments={'mean': normal(0, 3, 2), 'log_var': normal(1, 3, 2)},
        extreme=(
            {'log_var': both_signs(60, 3, 2)},
            {'mean': both_signs(1e4, 3, 2), 'log_var': -both_signs(60, 3, 2)},
        ),
    )


def kl_standard_normal_by_dim():
    reason = 'it has a number a dimension, of which kl_standard_normal is the sum'
    return kl_standard_normal()._replace(exempt={'output_shape': reason, 'rows': reason})


def total_correlation():
    means = normal(1, 4, 2)
    return Entry(
        arguments={'z': normal(0, 3, 2), 'means': means, 'log_vars': normal(2, 4, 2)},
        # at the means: elsewhere, terms of 1e8 cancel, and their rounding is all that is left
        extreme=({'z': means[:3], 'log_vars': both_signs(20, 4, 2)},),
        batch_axis={'means': None, 'log_vars': None},
        exempt={'broadcast': 'the others are no batch; test_total_correlation has its refusals'},
    )


def kl_diagonal_gaussians():
    names = ('mean_q', 'log_var_q', 'mean_p', 'log_var_p')
    return Entry(
        arguments={name: normal(seed, 3, 2) for seed, name in enumerate(names)},
        extreme=(
            {'log_var_q': both_signs(60, 3, 2)},
            {'log_var_p': both_signs(60, 3, 2)},
            {'log_var_q': both_signs(60, 3, 2), 'log_var_p': both_signs(60, 3, 2)},
            # With arguments swapped the divergence is e^120, which overflows float32.
            {'log_var_q': jnp.full((3, 2), -60.0), 'log_var_p': jnp.full((3, 2), 60.0)},
            {'mean_q': both_signs(1e4, 3, 2), 'log_var_p': both_signs(60, 3, 2)},
        ),
    )


def diagonal_gaussian_log_prob():
    names = ('x', 'mean', 'log_var')
    return Entry(
        arguments={name: normal(seed, 3, 2, 2) for seed, name in enumerate(names)},
        extreme=(
            {'log_var': both_signs(60, 3, 2, 2)},
            {'x': both_signs(1e4, 3, 2, 2), 'log_var': -both_signs(60, 3, 2, 2)},
        ),
    )


def bernoulli_log_prob():
    ones, zeros = jnp.ones((3, 2, 2)), jnp.zeros((3, 2, 2))
    return Entry(
        arguments={'x': random_integers(0, 2, 3, 2, 2), 'logits': normal(1, 3, 2, 2)},
        extreme=(
            {'x': ones, 'logits': both_signs(1e4, 3, 2, 2)},
            {'x': zeros, 'logits': both_signs(1e4, 3, 2, 2)},
        ),
    )


def categorical_log_prob():
    return Entry(
        arguments={'x': random_integers(0, 4, 3, 2, 2), 'logits': normal(1, 3, 2, 2, 4)},
        extreme=(
            {'logits': both_signs(1e4, 3, 2, 2, 4)},
            {'logits': -both_signs(1e4, 3, 2, 2, 4)},
            {'x': jnp.full((3, 2, 2), 3.0), 'logits': jnp.full((3, 2, 2, 4), -1e4)},
        ),
        free_axes={'logits': (3,)},
    )


def binomial_log_prob():
    return Entry(
        arguments={'x': random_integers(0, 17, 3, 2, 2), 'logits': normal(1, 3, 2, 2)},
        static={'num_trials': 16},
        extreme=(
            {'x': jnp.zeros((3, 2, 2)), 'logits': both_signs(1e4, 3, 2, 2)},
            {'x': jnp.full((3, 2, 2), 16.0), 'logits': both_signs(1e4, 3, 2, 2)},
        ),
    )


def discretized_logistic_mixture_log_prob():
    shape = (3, 2, 2, 2)
    at_an_edge = jnp.full(shape, 2 * 3.5 / 15 - 1)
    corners = jnp.asarray([0, 15, 3, 4] * 3, jnp.float32).reshape(3, 2, 2)
    return Entry(
        arguments={
            'x': corners,
            'mixture_logits': normal(1, *shape),
            'means': normal(2, *shape),
            'log_scales': normal(3, *shape),
        },
        static={'levels': 16},
        extreme=(
            {'mixture_logits': both_signs(1e4, *shape)},
            {'log_scales': both_signs(60, *shape)},
            {'log_scales': jnp.full(shape, 60.0)},
            {'log_scales': jnp.full(shape, -60.0)},
            {'log_scales': jnp.full(shape, -60.0), 'means': both_signs(1e4, *shape)},
            {'log_scales': both_signs(1e4, *shape), 'means': at_an_edge},
            {'log_scales': jnp.full(shape, -1e4), 'means': at_an_edge},
        ),
    )


def elbo():
    return Entry(
        arguments={
            'log_likelihood_nats': normal(0, 3),
            'kl_nats': normal(1, 3),
            'beta': jnp.float32(0.5),
        },
        extreme=(
            {'log_likelihood_nats': both_signs(1e30, 3), 'kl_nats': both_signs(1e30, 3)},
            {'beta': jnp.float32(0.0)},
        ),
        batch_axis={'beta': None},
    )


def importance_weighted_bound():
    return Entry(
        arguments={'log_weights': normal(0, 4, 3)},
        extreme=(
            {'log_weights': both_signs(1e4, 4, 3)},
            {'log_weights': jnp.full((4, 3), -1e4)},
            {'log_weights': jnp.full((4, 3), 1e4)},
        ),
        batch_axis={'log_weights': 1},
        free_axes={'log_weights': (0, 1)},
    )


def of_two_players():
    logits = {'real': normal(0, 3), 'fake': normal(1, 3)}
    return Entry(
        arguments=logits,
        extreme=(
            {'real': both_signs(1e4, 3)},
            {'fake': both_signs(1e4, 3)},
        ),
    )


def of_the_generator():
    return Entry(
        arguments={'fake': normal(1, 3)},
        extreme=({'fake': both_signs(1e4, 3)},),
        free_axes={'fake': (0,)},
    )


def bowl(x):
    """A discriminator |x|^2 / 2 for any event shape, with zero gradient at the origin."""
    return 0.5 * jnp.sum(jnp.square(x), tuple(range(1, x.ndim)))


def slope_squared():
    return Entry(
        arguments={'x': normal(0, 3, 2, 2)},
        static={'discriminator': bowl},
        extreme=({'x': both_signs(1e4, 3, 2, 2)}, {'x': jnp.zeros((3, 2, 2)).at[0].set(1e-9)}),
        exempt={'broadcast': 'the shape of its only array is free'},
    )


def gradient_penalty():
    return Entry(
        arguments={
            'real': normal(0, 3, 2, 2),
            'fake': normal(1, 3, 2, 2),
            'fraction': jnp.asarray([0.0, 0.3, 1.0]),
        },
        static={'discriminator': bowl},
        extreme=(
            {'real': both_signs(1e4, 3, 2, 2)},
            {'real': jnp.zeros((3, 2, 2)), 'fake': jnp.ones((3, 2, 2))},
        ),
    )


def feature_matching():
    return Entry(
        arguments={'real': normal(0, 3, 2), 'fake': normal(1, 3, 2)},
        extreme=({'real': both_signs(1e4, 3, 2)},),
        exempt={
            'output_shape': 'it is of the whole batch',
            'rows': 'it is of the whole batch',
            'broadcast': 'batches of different sizes have means too',
        },
    )


def warmup():
    return Entry(
        arguments={
            'step': jnp.asarray([0.0, 3.0, 30.0]),
            'num_steps': jnp.float32(10.0),
        },
        extreme=({'num_steps': jnp.float32(0.0)}, {'num_steps': jnp.float32(1e6)}),
        batch_axis={'num_steps': None},
        exempt={'broadcast': 'it is of one step, which may be a scalar'},
    )


def free_nats():
    reason = 'it is of the whole batch'
    return Entry(
        arguments={'kl_nats': 3 + normal(0, 3, 2), 'free': jnp.float32(0.5)},
        extreme=(
            {'kl_nats': jnp.full((3, 2), 1e30)},
            {'free': jnp.float32(-jnp.inf)},
            {'free': jnp.float32(1e30)},
        ),
        batch_axis={'free': None},
        free_axes={'kl_nats': (0, 1)},
        exempt={'output_shape': reason, 'rows': reason},
    )


def of_quantized_vectors(**exempt):
    pair = {'encoded': normal(0, 3, 2, 4), 'quantized': normal(1, 3, 2, 4)}
    return Entry(
        arguments=pair,
        extreme=(
            {'encoded': both_signs(1e4, 3, 2, 4)},
            {'quantized': both_signs(1e4, 3, 2, 4)},
        ),
        exempt=exempt,
    )


def perplexity():
    return Entry(
        arguments={'counts': jnp.abs(normal(0, 3, 4))},
        extreme=(
            {'counts': jnp.zeros((3, 4)).at[:, 1].set(1e6)},
            {'counts': jnp.zeros((3, 4))},
        ),
        free_axes={'counts': (0, 1)},
    )


def half_squared_error():
    return Entry(
        arguments={'x': normal(0, 3, 2, 2), 'mean': normal(1, 3, 2, 2)},
        extreme=({'mean': both_signs(1e4, 3, 2, 2)},),
    )


def cross_entropy():
    return Entry(
        arguments={'x': jnp.abs(jnp.sin(normal(0, 3, 2, 2))), 'logits': normal(1, 3, 2, 2)},
        extreme=(
            {'logits': both_signs(1e4, 3, 2, 2)},
            {'x': jnp.ones((3, 2, 2)), 'logits': both_signs(1e4, 3, 2, 2)},
        ),
    )


def halves(x):
    """An encoder for any event shape: x^2 / 2 elementwise, so that J = diag(x)."""
    return 0.5 * jnp.square(x.reshape(len(x), -1))


def jacobian_squared_norm():
    return Entry(
        arguments={'x': normal(0, 3, 2, 2)},
        static={'encoder': halves},
        extreme=({'x': both_signs(1e4, 3, 2, 2)},),
        exempt={'broadcast': 'the shape of its only array is free'},
    )


def jacobian_squared_norm_estimate():
    return Entry(
        arguments={'x': normal(0, 3, 2, 2), 'probes': normal(1, 5, 3, 4)},
        static={'encoder': halves},
        extreme=({'x': both_signs(1e4, 3, 2, 2)}, {'probes': both_signs(1e4, 5, 3, 4)}),
        batch_axis={'probes': 1},
        free_axes={'probes': (0,)},
    )


def of_a_process(**arrays):
    return Entry(
        arguments={**arrays, 'alpha': jnp.float32(0.8), 'sigma': jnp.float32(0.6)},
        extreme=(
            {'alpha': jnp.float32(1.0), 'sigma': jnp.float32(1e-3)},
            {'alpha': jnp.float32(1e-3), 'sigma': jnp.float32(1.0)},
        ),
        batch_axis=dict.fromkeys({'alpha', 'sigma', 'values'} & {'alpha', 'sigma', *arrays}),
        free_axes={'values': (0,)} if 'values' in arrays else {},
    )


def denoising_error():
    return Entry(
        arguments={
            'target': normal(0, 3, 2, 2),
            'output': normal(1, 3, 2, 2),
            'weight': jnp.abs(normal(2, 3)),
        },
        extreme=({'weight': jnp.full((3,), 1e9)}, {'output': both_signs(1e4, 3, 2, 2)}),
    )


def prior_kl():
    entry = of_a_process(x=normal(0, 3, 2, 2))
    return entry._replace(exempt={'broadcast': 'only x has axes, and events may have any'})


def density_nats():
    return of_a_process(x=normal(0, 3, 2, 2), x_t=normal(1, 3, 2, 2))


def levels_nats():
    values = jnp.linspace(-1.0, 1.0, 4)
    entry = of_a_process(
        level=random_integers(0, 4, 3, 2, 2), x_t=normal(1, 3, 2, 2), values=values
    )
    return entry._replace(exempt={'broadcast': 'values are no batch; test_denoising has them'})


EXAMPLES: dict[str, Callable[[], Entry]] = {
    **{
        f'adversarial.{game}_discriminator': of_two_players
        for game in ('minimax', 'least_squares', 'hinge', 'wasserstein')
    },
    **{
        f'adversarial.{game}_generator': of_the_generator
        for game in ('minimax', 'non_saturating', 'least_squares', 'wasserstein')
    },
    'adversarial.slope_squared': slope_squared,
    'adversarial.gradient_penalty': gradient_penalty,
    'adversarial.feature_matching': feature_matching,
    'denoising.denoising_error': denoising_error,
    'denoising.prior_kl': prior_kl,
    'denoising.density_nats': density_nats,
    'denoising.levels_nats': levels_nats,
    'total_correlation.total_correlation': total_correlation,
    'kl_weights.warmup': warmup,
    'kl_weights.free_nats': free_nats,
    'contraction.jacobian_squared_norm': jacobian_squared_norm,
    'contraction.jacobian_squared_norm_estimate': jacobian_squared_norm_estimate,
    'elbo.kl_standard_normal': kl_standard_normal,
    'elbo.kl_standard_normal_by_dim': kl_standard_normal_by_dim,
    'elbo.kl_diagonal_gaussians': kl_diagonal_gaussians,
    'elbo.diagonal_gaussian_log_prob': diagonal_gaussian_log_prob,
    'elbo.bernoulli_log_prob': bernoulli_log_prob,
    'elbo.categorical_log_prob': categorical_log_prob,
    'elbo.binomial_log_prob': binomial_log_prob,
    'elbo.discretized_logistic_mixture_log_prob': discretized_logistic_mixture_log_prob,
    'elbo.elbo': elbo,
    'elbo.importance_weighted_bound': importance_weighted_bound,
    'quantization.straight_through': functools.partial(
        of_quantized_vectors, output_shape='it is the vectors'
    ),
    'quantization.commitment': of_quantized_vectors,
    'quantization.perplexity': perplexity,
    'reconstruction.cross_entropy': cross_entropy,
    'reconstruction.half_squared_error': half_squared_error,
}


def public_functions():
    """{'module.function': function} of all public functions defined in `losses`."""
    functions = {}
    for info in pkgutil.walk_packages(losses.__path__, 'losses.'):
        if '._' in info.name:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            is_ours = getattr(value, '__module__', None) == module.__name__
            if is_ours and callable(value) and not inspect.isclass(value) and name[0] != '_':
                functions[f'{info.name.removeprefix("losses.")}.{name}'] = value
    return functions


FUNCTIONS = public_functions()
KNOWN = sorted(FUNCTIONS.keys() & EXAMPLES.keys())


@functools.cache
def compiled_loss(name):
    """The jitted function with its static arguments bound; compiled once for all tests."""
    return jax.jit(functools.partial(FUNCTIONS[name], **EXAMPLES[name]().static))


def keeps(promise):
    """Decorator: runs a test for every known function not exempt from `promise`."""
    assert promise in PROMISES

    def decorate(test):
        @pytest.mark.parametrize('name', KNOWN)
        def checked(name):
            entry = EXAMPLES[name]()
            if promise in entry.exempt:
                pytest.skip(f'{name}: {entry.exempt[promise]}')
            test(entry, compiled_loss(name))

        checked.__name__ = test.__name__
        checked.__doc__ = test.__doc__
        return checked

    return decorate


def assert_trees_close(actual, expected, rtol=1e-5, atol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol, atol), actual, expected)


def floating(arguments):
    is_float = {
        name: jnp.issubdtype(jnp.result_type(v), jnp.floating) for name, v in arguments.items()
    }
    return {name: value for name, value in arguments.items() if is_float[name]}


def with_rows(entry, rows, arguments=None):
    """The arguments with their examples indexed by `rows`, in that order."""
    arguments = entry.arguments if arguments is None else arguments
    return {
        name: value if entry.axis_of(name) is None else jnp.take(value, rows, entry.axis_of(name))
        for name, value in arguments.items()
    }


def wrong_shapes(entry):
    """Yields (argument, value) for each wrong shape of one argument that would broadcast."""
    for name, value in entry.arguments.items():
        axis = entry.axis_of(name)
        if axis is None:
            yield name, jnp.full((1,) * (jnp.ndim(value) + 1), value)
            continue
        yield name, jnp.take(value, 0, axis)
        for other_axis in set(range(jnp.ndim(value))) - set(entry.free_axes.get(name, ())):
            assert value.shape[other_axis] > 1, (
                f'{name}: an axis of length 1 cannot be shrunk to 1.'
            )
            yield name, jnp.take(value, jnp.array([0]), other_axis)


@pytest.mark.parametrize('name', sorted(FUNCTIONS))
def test_has_an_entry(name):
    assert name in EXAMPLES, (
        f'losses.{name} has no example inputs. Write a factory that returns an Entry and add '
        f'{name!r}: factory to EXAMPLES in {__file__}.'
    )


def test_the_package_is_searched():
    assert 'elbo.elbo' in FUNCTIONS
    assert not [name for name in FUNCTIONS if '._' in name]


@pytest.mark.parametrize('name', sorted(EXAMPLES))
def test_entry_is_well_formed(name):
    assert name in FUNCTIONS, f'EXAMPLES has {name!r}, which losses no longer defines.'
    entry = EXAMPLES[name]()
    names = set(inspect.signature(FUNCTIONS[name]).parameters)
    assert set(entry.arguments) | set(entry.static) == names
    assert not set(entry.arguments) & set(entry.static)
    assert set(entry.exempt) <= set(PROMISES) and all(entry.exempt.values())
    mentioned = {*entry.batch_axis, *entry.free_axes}.union(*entry.extreme)
    assert mentioned <= set(entry.arguments)
    assert entry.extreme or 'finite' in entry.exempt
    assert entry.batch_size > 1 or 'rows' in entry.exempt


@pytest.mark.slow
@keeps('jit')
def test_jit_equals_eager(entry, loss):
    for arguments in entry.calls:
        assert_trees_close(loss(**arguments), loss.__wrapped__(**arguments))


@keeps('output_shape')
def test_output_has_exactly_the_shape_of_the_batch(entry, loss):
    for output in jax.tree.leaves(loss(**entry.arguments)):
        assert output.shape == (entry.batch_size,)
        assert output.dtype == jnp.float32


@keeps('finite')
def test_output_is_finite_also_at_extremes(entry, loss):
    for arguments in entry.calls:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loss(**arguments)))


@keeps('gradient')
def test_gradient_is_finite_also_at_extremes(entry, loss):
    def total(floats, others):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(loss(**floats, **others)))

    gradient = jax.jit(jax.grad(total))
    for arguments in entry.calls:
        floats = floating(arguments)
        others = {name: value for name, value in arguments.items() if name not in floats}
        slopes = gradient(floats, others)
        assert any(np.any(slope != 0) for slope in slopes.values())
        for name, slope in slopes.items():
            assert np.isfinite(slope).all(), f'gradient with respect to {name}: {slope}'


@pytest.mark.slow
@keeps('vmap')
def test_vmap_equals_a_loop(entry, loss):
    reversed_rows = jnp.arange(entry.batch_size)[::-1]
    members = (entry.arguments, with_rows(entry, reversed_rows), *entry.calls[1:])
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *members)
    looped = [loss(**member) for member in members]
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *looped)
    vmapped = jax.jit(jax.vmap(lambda arguments: loss(**arguments)))
    assert_trees_close(vmapped(stacked), expected)


@keeps('rows')
def test_permuting_examples_permutes_the_output(entry, loss):
    order = jnp.roll(jnp.arange(entry.batch_size), 1)
    output = loss(**entry.arguments)
    expected = jax.tree.map(lambda leaf: leaf[order], output)
    is_changed = jax.tree.map(lambda before, after: np.any(before != after), output, expected)
    assert any(jax.tree.leaves(is_changed)), 'The example must have rows that differ.'
    assert_trees_close(loss(**with_rows(entry, order)), expected, rtol=1e-6, atol=1e-6)


@keeps('rows')
def test_examples_do_not_touch_each_other(entry, loss):
    """A NaN in one example reaches no other row, which it would even if multiplied by 0."""
    for poisoned in range(entry.batch_size):
        is_poisoned = jnp.arange(entry.batch_size) == poisoned
        others = np.flatnonzero(~is_poisoned)
        arguments = dict(entry.arguments)
        for name, value in floating(arguments).items():
            if entry.axis_of(name) is not None:
                batch_first = jnp.moveaxis(value, entry.axis_of(name), 0).at[poisoned].set(jnp.nan)
                arguments[name] = jnp.moveaxis(batch_first, 0, entry.axis_of(name))
        clean, spoilt = (jax.tree.leaves(loss(**values)) for values in (entry.arguments, arguments))
        for before, after in zip(clean, spoilt, strict=True):
            np.testing.assert_allclose(after[others], before[others], rtol=1e-6, atol=1e-6)
            assert not np.isfinite(after[poisoned]).any()


@keeps('broadcast')
def test_refuses_to_broadcast(entry, loss):
    attempts = list(wrong_shapes(entry))
    assert {name for name, _ in attempts} == set(entry.arguments)
    for name, value in attempts:
        with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
            loss(**{**entry.arguments, name: value})
            pytest.fail(f'{name} of shape {jnp.shape(value)} was accepted.')
