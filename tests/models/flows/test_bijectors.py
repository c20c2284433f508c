"""Every bijector: the inverse is exact, and log-determinants match the Jacobian."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import exhaustive_but
from support import scattered

from atelier.data.dataset import Spec
from models.autoregressive.made import MADE
from models.flows.actnorm import ActNorm
from models.flows.bijectors import (
    Chain,
    FactoredOut,
    Inverted,
    Repeated,
    Reshaped,
    Reversed,
    Squeezed,
)
from models.flows.conditioners import Perceptron, ResidualConvolutions
from models.flows.couplings import (
    Coupling,
    affine,
    checkerboard,
    complement,
    half_of_channels,
    spline,
)
from models.flows.data_bijectors import Logit, Standardized
from models.flows.invertible_1x1_conv import InvertibleLinear, rotation_factors
from models.flows.masked_autoregressive import MaskedAutoregressive

TABLE = Spec((3,), None, None, mean=(1.0, -2.0, 0.0), std=(2.0, 0.5, 3.0))
SIGNAL = Spec((2, 2, 1), None, None, mean=0.7, std=2.5)
MLP = functools.partial(Perceptron, hidden_sizes=(6,))
CONVOLUTIONS = functools.partial(ResidualConvolutions, channels=3)


def pair():
    coupling = functools.partial(Coupling, network=MLP, elementwise=affine(2.0))
    return Chain((ActNorm(), coupling(checkerboard), coupling(complement(checkerboard))))


def masked(elementwise, sizes=(7,)):
    return MaskedAutoregressive(MADE(sizes, elementwise.size), elementwise)


BIJECTORS = {  # (constructor, event shape)
    'standardized table': (lambda: Standardized(TABLE), (3,)),
    'standardized image': (lambda: Standardized(SIGNAL), (2, 2, 1)),
    'logit': (lambda: Logit(17.0, 0.05), (2, 2)),
    'actnorm': (ActNorm, (2, 2, 3)),
    'linear': (InvertibleLinear, (2, 1, 4)),
    'linear of a vector': (InvertibleLinear, (3,)),
    'squeezed': (Squeezed, (4, 2, 1)),
    'reversed': (Reversed, (3,)),
    'reshaped': (lambda: Reshaped((2, 2), (2, 2, 1)), (2, 2)),
    'affine, alternating': (lambda: Coupling(checkerboard, MLP, affine(2.0)), (5,)),
    'affine, checkerboard': (lambda: Coupling(checkerboard, CONVOLUTIONS, affine(2.0)), (2, 2, 1)),
    'affine, channels': (lambda: Coupling(half_of_channels, CONVOLUTIONS, affine(2.0)), (2, 1, 3)),
    'spline': (lambda: Coupling(complement(checkerboard), MLP, spline(4, 2.0)), (4,)),
    'single number': (pair, (1,)),
    'repeated': (lambda: Repeated(pair, 3), (3,)),
    'maf': (lambda: masked(affine(2.0)), (4,)),
    'maf of splines': (lambda: masked(spline(3, 2.0)), (3,)),
    'iaf, repeated': (
        lambda: Repeated(lambda: Chain((Inverted(masked(affine(2.0))), Reversed())), 2),
        (3,),
    ),
    'scales': (
        lambda: Chain(
            (Squeezed(), FactoredOut((2, 2, 4), Chain((pair(), Reshaped((2, 2, 2), (8,))))))
        ),
        (4, 4, 1),
    ),
}
LONG = (
    *('repeated', 'iaf, repeated', 'scales', 'maf', 'affine, alternating'),
    *('maf of splines', 'linear of a vector', 'affine, channels', 'affine, checkerboard'),
)


# those with a network, and with layers around one: they depend on a condition
CONDITIONED = ('spline', 'affine, alternating', 'affine, checkerboard', 'repeated', 'maf')
CONDITIONED = (*CONDITIONED, 'iaf, repeated', 'scales')
CONDITION = np.random.default_rng(2).normal(size=(4, 2))


def initialized(name, x, *condition):
    make, _ = BIJECTORS[name]
    module = make()
    init = jax.jit(functools.partial(module.init, method='forward_and_log_det'))
    variables = dict(init(jax.random.PRNGKey(0), x, *condition))
    if 'params' in variables:
        variables['params'] = scattered(variables['params'])
    return module, variables


def values_of(name, n, dtype):
    _, shape = BIJECTORS[name]
    x = np.random.default_rng(1).normal(size=(n, *shape))
    x = 8 + 4 * np.tanh(x) if name == 'logit' else 1.5 * x
    return jnp.asarray(x, dtype)


@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in BIJECTORS]
)
def test_round_trip_and_log_determinant(name):
    with jax.enable_x64(True):
        x = values_of(name, 4, jnp.float64)
        module, variables = initialized(name, x)

        @jax.jit
        def forward_and_inverse(variables, x):
            forward = functools.partial(module.apply, variables, method='forward_and_log_det')
            z, log_det = forward(x)
            back, log_back = module.apply(variables, z, method='inverse_and_log_det')
            of_one = lambda one: forward(one.reshape(1, *x.shape[1:]))[0].ravel()
            slopes = jax.vmap(jax.jacfwd(of_one))(x.reshape(len(x), -1))
            return z, log_det, back, log_back, jnp.linalg.slogdet(slopes)[1]

        z, log_det, back, log_back, jacobian_log_det = forward_and_inverse(variables, x)
    assert z.shape == x.shape or name in ('squeezed', 'reshaped', 'scales')
    assert math.prod(z.shape) == math.prod(x.shape) and log_det.shape == (4,)
    np.testing.assert_allclose(log_det, jacobian_log_det, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_back, -jacobian_log_det, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(back, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', exhaustive_but(('scales', 'maf'), CONDITIONED, ('spline',)))
def test_given_a_condition_the_inverse_is_exact_and_the_log_determinant_that_of_x(name):
    with jax.enable_x64(True):
        x, condition = values_of(name, 4, jnp.float64), jnp.asarray(CONDITION)
        module, variables = initialized(name, x, condition)

        @jax.jit
        def forward_and_inverse(x, condition):
            forward = functools.partial(module.apply, variables, method='forward_and_log_det')
            z, log_det = forward(x, condition)
            back, _ = module.apply(variables, z, condition, method='inverse_and_log_det')
            of_one = lambda x, c: forward(x.reshape(1, *events), c[None])[0].ravel()
            events = x.shape[1:]
            slopes = jax.vmap(jax.jacfwd(of_one))(x.reshape(len(x), -1), condition)
            return z, log_det, back, jnp.linalg.slogdet(slopes)[1]

        z, log_det, back, jacobian_log_det = forward_and_inverse(x, condition)
        given_others, *_ = forward_and_inverse(x, condition[::-1])
    np.testing.assert_allclose(log_det, jacobian_log_det, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(back, x, rtol=1e-5, atol=1e-5)
    assert (np.abs(z - given_others).reshape(4, -1).max(-1) > 1e-3).all()


def shapes_of(variables):
    leaves = jax.tree_util.tree_leaves_with_path(variables['params'])
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}


@pytest.mark.parametrize(
    ('name', 'added', 'grown'),
    [
        ('maf', ['condition_hidden', 'condition_to_hidden', 'condition_to_outputs'], []),
        ('affine, checkerboard', ['Dense_0', 'Dense_1'], []),
        ('spline', [], ["['Perceptron_0']['Dense_0']['kernel']"]),
    ],
)
def test_a_condition_adds_weights_and_renames_none(name, added, grown):
    x = values_of(name, 4, jnp.float32)
    plain = shapes_of(initialized(name, x)[1])
    conditional = shapes_of(initialized(name, x, jnp.asarray(CONDITION, jnp.float32))[1])
    assert {*plain} <= {*conditional}
    assert [path for path in plain if plain[path] != conditional[path]] == grown
    more = {path.split("['")[-2].rstrip("']") for path in {*conditional} - {*plain}}
    assert sorted(more) == added


@pytest.mark.parametrize('name', ['actnorm', 'linear', 'logit', 'reversed', 'standardized table'])
def test_a_bijector_without_a_network_ignores_the_condition(name):
    x, condition = values_of(name, 4, jnp.float32), jnp.asarray(CONDITION, jnp.float32)
    module, variables = initialized(name, x, condition)
    for method in ('forward_and_log_det', 'inverse_and_log_det'):
        given, alone = (
            module.apply(variables, x, *rest, method=method) for rest in ((condition,), ())
        )
        jax.tree.map(np.testing.assert_array_equal, given, alone)


@pytest.mark.parametrize(
    'name', [pytest.param('repeated', marks=pytest.mark.slow), 'linear', 'logit']
)
def test_round_trip_in_float32(name):
    x = values_of(name, 50, jnp.float32)
    module, variables = initialized(name, x)
    apply = jax.jit(module.apply, static_argnames='method')
    z, log_det = apply(variables, x, method='forward_and_log_det')
    back, log_back = apply(variables, z, method='inverse_and_log_det')
    assert {a.dtype for a in (z, log_det, back, log_back)} == {jnp.dtype('float32')}
    np.testing.assert_allclose(back, x, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(log_back, -log_det, rtol=1e-3, atol=2e-3)


def test_each_dimension_of_a_maf_depends_on_itself_and_earlier_ones():
    module, variables = initialized('maf', jnp.ones((2, 4)))
    of_one = lambda x: module.apply(variables, x[None], method='forward_and_log_det')[0][0]
    slopes = np.asarray(jax.jit(jax.jacfwd(of_one))(jnp.asarray([0.3, -1.0, 0.5, 2.0])))
    assert (np.triu(slopes, 1) == 0).all() and (np.diag(slopes) > 0).all()
    assert (np.abs(slopes[np.tril_indices(4, -1)]) > 0).all()


def test_an_iaf_is_the_inverse_of_the_maf_of_the_same_weights():
    x = values_of('maf', 5, jnp.float32)
    maf, variables = initialized('maf', x)
    iaf = Inverted(BIJECTORS['maf'][0]())
    iaf_variables = {kind: {'layer': tree} for kind, tree in variables.items()}
    apply = lambda f, *rest: jax.jit(f)(*rest)
    for direction, opposite in (('forward', 'inverse'), ('inverse', 'forward')):
        actual = apply(
            functools.partial(iaf.apply, method=f'{direction}_and_log_det'), iaf_variables, x
        )
        expected = apply(
            functools.partial(maf.apply, method=f'{opposite}_and_log_det'), variables, x
        )
        jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_actnorm_begins_with_mean_0_and_deviation_1_after_other_layers():
    x = 5.0 + 3.0 * jax.random.normal(jax.random.PRNGKey(0), (64, 2, 2, 3))
    x = x.at[..., 2].set(7.0)  # a constant channel: its scale is undetermined
    chain = Chain((InvertibleLinear(), ActNorm()))
    init = jax.jit(functools.partial(chain.init_with_output, method='forward_and_log_det'))
    (z, _), _ = init(jax.random.PRNGKey(0), x)
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(z.std((0, 1, 2)), 1, rtol=1e-4)
    constant = jnp.ones((8, 2))
    z, _ = ActNorm().init_with_output(jax.random.PRNGKey(0), constant, method='forward_and_log_det')
    assert np.isfinite(z[1]).all() and (z[0] == 0).all()


def test_the_linear_map_begins_as_a_rotation():
    order, lower, upper = rotation_factors(jax.random.PRNGKey(3), 6)
    matrix = (lower @ upper)[order]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(6), atol=1e-5)
    assert sorted(order.tolist()) == list(range(6)) and order.tolist() != list(range(6))


def test_masks():
    np.testing.assert_array_equal(checkerboard((5,)), [True, False, True, False, True])
    board = checkerboard((3, 3, 2))
    assert (board[..., 0] == board[..., 1]).all() and board.shape == (3, 3, 2)
    assert (board[:-1] != board[1:]).all() and (board[:, :-1] != board[:, 1:]).all()
    np.testing.assert_array_equal(half_of_channels((1, 5))[0], [True, True, True, False, False])
    assert (complement(checkerboard)((4,)) == ~checkerboard((4,))).all()


def test_squares_of_an_odd_side_are_refused():
    with pytest.raises(ValueError, match='have to be even'):
        Squeezed().apply({}, jnp.zeros((1, 3, 4, 1)), method='forward_and_log_det')


def test_codes_begin_with_the_coarsest_scale():
    """The dimensions that a finer scale factors out follow, in order of position."""
    rest = Chain((Squeezed(), FactoredOut((1, 1, 4), Reshaped((1, 1, 2), (2,)))))
    chain = Chain((Reshaped((8,), (2, 2, 2)), FactoredOut((2, 2, 2), rest)))
    z, log_det = chain.apply({}, jnp.arange(8.0)[None], method='forward_and_log_det')
    np.testing.assert_array_equal(z[0], [0, 2, 4, 6, 1, 3, 5, 7])
    assert (log_det == 0).all()
    x, _ = chain.apply({}, z, method='inverse_and_log_det')
    np.testing.assert_array_equal(x[0], np.arange(8))


@pytest.mark.parametrize('name', ['affine, alternating', 'maf', 'logit'])
def test_gradients_are_finite_at_extreme_inputs(name):
    _, shape = BIJECTORS[name]
    signs = jnp.where(jnp.arange(math.prod(shape)) % 2, 1.0, -1.0).reshape(1, *shape)
    extreme_x = jnp.concatenate([0.0 * signs, 17.0 + 0.0 * signs, 1e4 * signs, -1e4 * signs])
    module, variables = initialized(name, values_of(name, 4, jnp.float32))
    params = variables.get('params', {})

    def total(params, x):
        z, log_det = module.apply({**variables, 'params': params}, x, method='forward_and_log_det')
        return jnp.sum(z) + jnp.sum(jnp.where(jnp.isfinite(log_det), log_det, 0.0))

    for leaf in jax.tree.leaves(jax.jit(jax.grad(total, (0, 1)))(params, extreme_x)):
        assert np.isfinite(leaf).all()
