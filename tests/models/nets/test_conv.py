"""Both forms of both layers against Flax's, and under sweeps, half precision and masks."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.nets import conv

pytestmark = pytest.mark.usefixtures('strict_promotion')

FORMS = ('matmul', 'lax')
LAYERS = {'Conv': (conv.Conv, nn.Conv), 'ConvTranspose': (conv.ConvTranspose, nn.ConvTranspose)}
both_layers = pytest.mark.parametrize('name', LAYERS)
both_forms = pytest.mark.parametrize('form', FORMS)


def normal(seed, *shape):
    return jax.random.normal(jax.random.PRNGKey(seed), shape)


def with_bias(params):
    """Replaces the bias by a nonzero one, so that a layer that omits it fails."""
    kernel = params['params']['kernel']
    return {'params': {'kernel': kernel, 'bias': normal(5, kernel.shape[-1])}}


def assert_close(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), actual, expected
    )


@st.composite
def cases(draw, transposed):
    """Draws (input shape, features, layer options) whose windows always fit."""
    axes = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))
    size, strides, dilation, extra = (
        per_axis(1, 5 if axes < 3 else 3),
        per_axis(1, 3),
        per_axis(1, 3),
        per_axis(0, 3),
    )
    names = ['SAME', 'VALID', 'number', 'numbers', 'pairs']
    padding = draw(st.sampled_from(names + ['CAUSAL'] * (axes == 1 and not transposed)))
    if padding == 'number':
        padding = draw(st.integers(0, 3))
    elif padding == 'numbers':
        padding = per_axis(0, 3)
    elif padding == 'pairs':
        padding = tuple(zip(per_axis(-1, 4), per_axis(-1, 4), strict=True))
    lengths = []
    for axis in range(axes):
        reach = (size[axis] - 1) * dilation[axis]
        missing = reach - padded(padding, axis, reach, transposed)
        stride = strides[axis] if transposed else 1
        lengths.append(1 + max(0, math.ceil(missing / stride)) + extra[axis])
    groups = 1 if transposed else draw(st.integers(1, 3))
    channels, features = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    layer = dict(kernel_size=size, strides=strides, padding=padding, kernel_dilation=dilation)
    if groups > 1:
        layer['feature_group_count'] = groups
    return (2, *lengths, channels), features, layer


def padded(padding, axis, reach, transposed):
    """The padding along an axis that is available to a window of this reach."""
    if isinstance(padding, str):
        return 0 if padding == 'VALID' and not transposed else reach
    return sum(np.broadcast_to(padding if isinstance(padding, int) else padding[axis], 2))


def outputs_and_gradients(layers, params, x):
    """Each layer's output, and its VJP of one random cotangent in params and x."""

    def pull(layer):
        y, vjp = jax.vjp(layer.apply, params, x)
        return y, vjp(normal(2, *y.shape))

    return jax.jit(lambda: [pull(layer) for layer in layers])()


def check(name, case):
    shape, features, arguments = case
    ours, flax = LAYERS[name]
    reference = flax(features, **arguments)
    x = normal(0, *shape)
    params = with_bias(reference.init(jax.random.PRNGKey(1), x))
    layers = [reference, *(ours(features, **arguments, form=form) for form in FORMS)]
    expected, *results = outputs_and_gradients(layers, params, x)
    assert expected[0].size
    for actual in results:
        assert_close(actual, expected)


USUAL = [
    ('Conv', ((2, 6, 5, 2), 3, dict(kernel_size=(3, 3), strides=(2, 2)))),
    ('Conv', ((2, 7, 4), 4, dict(kernel_size=(4,), padding=1, feature_group_count=2))),
    ('Conv', ((2, 4, 2), 2, dict(kernel_size=(3,), strides=(2,), padding=((5, -2),)))),
    ('Conv', ((2, 1, 2), 2, dict(kernel_size=(5,), padding=((6, 3),)))),
    ('Conv', ((2, 3, 2, 2), 3, dict(kernel_size=(3, 2), padding='VALID'))),  # one window
    ('ConvTranspose', ((2, 4, 3, 2), 3, dict(kernel_size=(4, 4), strides=(2, 2)))),
]


@pytest.mark.parametrize(('name', 'case'), USUAL)
def test_usual_layers_and_their_gradients_equal_flax(name, case):
    check(name, case)


@pytest.mark.slow
@settings(max_examples=25)
@given(cases(transposed=False))
@example(((2, 4, 1), 2, dict(kernel_size=(3,), kernel_dilation=2, padding='CAUSAL')))
def test_conv_and_its_gradients_equal_flax(case):
    check('Conv', case)


@pytest.mark.slow
@settings(max_examples=25)
@given(cases(transposed=True))
@example(((2, 4, 1), 2, dict(kernel_size=(2,), strides=3, padding='VALID')))
@example(((2, 4, 1), 2, dict(kernel_size=(2,), strides=3, padding='SAME')))
def test_conv_transpose_and_its_gradients_equal_flax(case):
    check('ConvTranspose', case)


class Net(nn.Module):
    """Both layers of a library, so that automatic parameter names are compared too."""

    library: Any
    more: dict

    @nn.compact
    def __call__(self, x):
        x = self.library.Conv(4, (3, 2), feature_group_count=2, **self.more)(x)
        return self.library.ConvTranspose(3, (2, 3), strides=(2, 2), **self.more)(x)


@pytest.mark.parametrize('use_bias', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_parameters_are_those_of_flax_in_name_shape_and_value(use_bias):
    x, key = normal(0, 2, 5, 4, 6), jax.random.PRNGKey(3)
    ours, flax = (Net(library, {'use_bias': use_bias}).init(key, x) for library in (conv, nn))
    assert jax.tree.structure(ours) == jax.tree.structure(flax)
    jax.tree.map(np.testing.assert_array_equal, ours, flax)
    assert len(jax.tree.leaves(ours)) == (4 if use_bias else 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(ours)} == {jnp.dtype('float32')}


def loss_of(form):
    net = Net(conv, {'form': form})
    return lambda params, x: jnp.sum(jnp.sin(net.apply(params, x)))


def many_params(count, x):
    keys = jax.random.split(jax.random.PRNGKey(0), count)
    return jax.vmap(Net(conv, {}).init, (0, None))(keys, x)


@pytest.mark.slow
def test_a_sweep_over_kernels_stays_a_product():
    """Under vmap, form 'lax' becomes one grouped convolution; 'matmul' stays matrix products."""
    x = normal(0, 2, 4, 3, 2)
    params = many_params(3, x)
    sweep = lambda form: jax.vmap(jax.value_and_grad(loss_of(form)), (0, None))
    text = {form: str(jax.make_jaxpr(sweep(form))(params, x)) for form in FORMS}
    assert 'conv_general_dilated' in text['lax']
    assert 'conv_general_dilated' not in text['matmul']
    assert 'dot_general' in text['matmul']
    single = jax.jit(jax.value_and_grad(loss_of('lax')))
    each = [single(jax.tree.map(lambda p, i=i: p[i], params), x) for i in range(3)]
    assert_close(jax.jit(sweep('matmul'))(params, x), jax.tree.map(lambda *t: jnp.stack(t), *each))


def concatenations(jaxpr):
    """The (axis, number of axes) of every concatenation in a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == 'concatenate':
            yield equation.params['dimension'], equation.outvars[0].aval.ndim
        for value in equation.params.values():
            if hasattr(value, 'jaxpr'):
                yield from concatenations(value.jaxpr)


@pytest.mark.slow
@both_layers
@pytest.mark.parametrize(
    'features', [pytest.param(1, marks=pytest.mark.slow), 8]
)  # on both sides of `_adding_is_smaller`
def test_windows_are_not_joined_along_the_channels(name, features):
    """On CPU, this would take several times as long, because each part is copied by itself."""
    layer = LAYERS[name][0](features, (4, 4), 2, form='matmul')
    x = normal(0, 2, 6, 6, 3)
    params = layer.init(jax.random.PRNGKey(0), x)
    loss = lambda params, x: jnp.sum(jnp.sin(layer.apply(params, x)))
    program = jax.make_jaxpr(jax.value_and_grad(loss, (0, 1)))(params, x)
    axes = list(concatenations(program.jaxpr))
    assert axes
    assert all(axis < count - 1 for axis, count in axes)


@pytest.mark.slow
def test_second_derivatives_of_both_forms_are_equal():
    """Reverse over reverse, as in a gradient penalty, and forward over reverse."""
    x = normal(0, 2, 4, 3, 2)
    params = jax.tree.map(lambda p: p[0], many_params(1, x))

    def seconds(form):
        of_input = jax.grad(loss_of(form), 1)
        penalty = jax.grad(lambda params: jnp.sum(of_input(params, x) ** 2))(params)
        return penalty, jax.jvp(lambda x: of_input(params, x), (x,), (normal(1, *x.shape),))

    matmul, reference = jax.jit(lambda: [seconds(form) for form in FORMS])()
    assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(reference)) > 0.1
    assert_close(matmul, reference)


@both_layers
@pytest.mark.parametrize('backend', ['cpu', 'gpu', 'tpu'])
def test_auto_is_a_product_on_cpu_and_lax_elsewhere(name, backend, monkeypatch):
    layer = LAYERS[name][0](2, (3,))
    x = normal(0, 2, 5, 2)
    params = layer.init(jax.random.PRNGKey(0), x)
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    text = str(jax.make_jaxpr(layer.apply)(params, x))
    assert ('conv_general_dilated' in text) == (backend != 'cpu')


@both_layers
@both_forms
def test_bfloat16_products_keep_float32_parameters_outputs_and_gradients(name, form):
    make = lambda dtype: LAYERS[name][0](3, (3, 2), strides=2, dtype=dtype, form=form)
    half, full = make(jnp.bfloat16), make(jnp.float32)
    x = normal(0, 2, 5, 4, 8)
    params = with_bias(jax.jit(half.init)(jax.random.PRNGKey(1), x))
    assert 'bf16' in str(jax.make_jaxpr(half.apply)(params, x))
    results = outputs_and_gradients([half, full], params, x)
    for actual, exact in zip(*map(jax.tree.leaves, results), strict=True):
        assert actual.dtype == jnp.float32
        np.testing.assert_allclose(actual, exact, atol=0.02 * np.max(np.abs(exact)))
    assert np.any(results[0][0] != results[1][0])


@both_layers
def test_the_matrix_form_sums_bfloat16_in_float32(name):
    """bfloat16 represents 256 and 1, but not their sum."""
    layer = LAYERS[name][0](1, (2,), padding=1, use_bias=False, dtype=jnp.bfloat16, form='matmul')
    params = {'params': {'kernel': jnp.float32([256, 1]).reshape(2, 1, 1)}}
    assert np.max(layer.apply(params, jnp.ones((1, 2, 1)))) == 257


@pytest.mark.slow
@both_layers
@both_forms
def test_masked_elements_count_for_nothing_and_get_no_gradient(name, form):
    ours, flax = LAYERS[name]
    mask = np.asarray(normal(7, 3, 2, 2, 4) > 0, np.float32)
    layers = [
        make(4, (3, 2), mask=mask) for make in (lambda *a, **k: ours(*a, **k, form=form), flax)
    ]
    x = normal(0, 2, 4, 5, 2)
    params = with_bias(layers[0].init(jax.random.PRNGKey(1), x))
    actual, expected = outputs_and_gradients(layers, params, x)
    assert_close(actual, expected)
    gradient = actual[1][0]['params']['kernel']
    np.testing.assert_array_equal(gradient[mask == 0], 0)
    assert np.all(gradient[mask == 1] != 0)


WRONG = {
    'unknown form': ('form', dict(form='winograd')),
    'rank': ('axes', dict(kernel_size=(3,))),
    'strides': ('strides', dict(strides=(1, 2, 1))),
    'no stride': ('strides', dict(strides=0)),
    'dilation': ('dilation', dict(kernel_dilation=(1, 0))),
    'unknown padding': ('padding', dict(padding='CIRCULAR')),
    'causal image': ('padding', dict(padding='CAUSAL')),
    'padding of three axes': ('padding', dict(padding=(1, 1, 1))),
    'padding of three sides': ('padding', dict(padding=((1, 1, 1), (1, 1, 1)))),
    'large window': ('window', dict(kernel_size=(3, 6), padding=0, strides=1)),
    'cropped away': ('window', dict(padding=((-3, -3), (0, 0)), strides=1)),
    'mask': ('mask', dict(mask=np.ones((3, 3), np.float32))),
}


@both_layers
@both_forms
@pytest.mark.parametrize('wrong', WRONG)
def test_invalid_options_are_refused(name, form, wrong):
    match, changes = WRONG[wrong]
    layer = LAYERS[name][0](**(dict(features=2, kernel_size=(3, 3), form=form) | changes))
    with pytest.raises(ValueError, match=match):
        layer.init(jax.random.PRNGKey(0), jnp.ones((2, 5, 5, 4)))


@both_forms
def test_a_transposed_convolution_has_no_causal_padding(form):
    layer = conv.ConvTranspose(2, (3,), padding='CAUSAL', form=form)
    with pytest.raises(ValueError, match='padding'):
        layer.init(jax.random.PRNGKey(0), jnp.ones((2, 5, 4)))


@both_forms
@pytest.mark.parametrize(('groups', 'features'), [(3, 3), (2, 3)])
def test_groups_must_divide_channels_and_features(form, groups, features):
    layer = conv.Conv(features, (3,), feature_group_count=groups, form=form)
    with pytest.raises(ValueError, match=f'{groups} groups'):
        layer.init(jax.random.PRNGKey(0), jnp.ones((2, 5, 4)))


@pytest.mark.parametrize(
    'convolve',
    [
        *(lambda *a, f=f: f(*a, 1) for f in (conv.conv_matmul, conv.conv_lax)),
        conv.conv_transpose_matmul,
        conv.conv_transpose_lax,
    ],
)
def test_a_kernel_for_other_channels_or_of_another_rank_is_refused(convolve):
    x, fits = jnp.ones((2, 5, 4)), jnp.ones((3, 4, 2))
    assert convolve(x, fits, 1, 'SAME', 1).shape == (2, 5, 2)
    for kernel in (jnp.ones((3, 5, 2)), jnp.ones((3, 3, 4, 2))):
        with pytest.raises(ValueError, match='shape'):
            convolve(x, kernel, 1, 'SAME', 1)


@both_layers
@both_forms
@pytest.mark.parametrize(
    'features', [2, 64]
)  # 2: outputs are smaller than windows; 64: windows are
def test_a_batch_may_be_empty(name, form, features):
    layer = LAYERS[name][0](features, (4, 4), strides=2, form=form)
    y, _ = jax.jit(layer.init_with_output)(jax.random.PRNGKey(0), jnp.zeros((0, 8, 8, 3)))
    assert y.shape == (0, *((4, 4) if name == 'Conv' else (16, 16)), features)


@pytest.mark.slow
@both_layers
def test_no_strides_and_no_dilation_are_one(name):
    ours, theirs = (layer(2, (3, 3), strides=None, kernel_dilation=None) for layer in LAYERS[name])
    x = normal(0, 2, 5, 5, 3)
    params = theirs.init(jax.random.PRNGKey(0), x)
    assert_close(ours.apply(params, x), theirs.apply(params, x))
