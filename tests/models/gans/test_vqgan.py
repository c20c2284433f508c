"""The VQGAN against a second computation of its losses, their gradients and the adaptive weight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, steps_on

from atelier import checkout
from atelier.core import train_step
from atelier.core.abilities import Codes, LogProb, Reconstruct, Sample
from atelier.core.code_likelihood import CodeLikelihood
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from models.autoencoders.vq_networks import MapDecoder, MapEncoder
from models.autoencoders.vq_vae import VQVAENetworks, codebook_of
from models.gans import vqgan
from models.gans.networks import PatchDiscriminator
from models.gans.players import GANNetworks

N, START = 6, 10.0
HYPERS = dict(
    beta=0.7,
    codebook_decay=0.9,
    restart_below=0.1,
    adversarial=0.8,
    adaptive_weight_max=1e4,
    feature_matching=3.0,
    adversarial_start=START,
)
SPEC, SHAPE = Spec((4, 4), 17, None), (4, 4)
NETWORK = dict(channels=(3,), kernel_size=2, activation=jnp.tanh)
PATCHES = PatchDiscriminator(SHAPE, (), (), **NETWORK)
NETS = vqgan.VQGANNetworks(
    VQVAENetworks(
        encoder=MapEncoder(SHAPE, (), (2, 2, 2), **NETWORK),
        decoder=MapDecoder(SHAPE, (), (*SHAPE, 1), **NETWORK),
        observation=vqgan.absolute_error(SPEC),
        map_shape=(2, 2, 2),
        num_codes=5,
        spec=SPEC,
    ),
    GANNetworks(None, lambda train, gather: PATCHES, 0, SPEC),
    last_layer='ConvTranspose_0',
)
FAMILY = vqgan.vqgan(NETS)
BATCH = {'x': jnp.asarray(np.random.default_rng(0).integers(0, 17, (N, *SHAPE)), jnp.float32)}
RNG = rng_for(jax.random.PRNGKey(1), jnp.arange(N), N)


def make(folder, argument='digits,debug', **changes):
    return assembled(folder, 'vqgan', argument, **changes)


@pytest.fixture(scope='module')
def weights():
    return jax.jit(FAMILY.init)(jax.random.PRNGKey(0), BATCH)


gradients_of_turn = jax.jit(functools.partial(train_step.gradients_of_turn, FAMILY.turns[0]))


def played(weights, step=START, **hypers):
    return gradients_of_turn(weights, BATCH, RNG, jnp.int32(step), {**HYPERS, **hypers})


def assert_close(trees, **tolerance):
    close = lambda a, b: np.testing.assert_allclose(a, b, **tolerance)
    jax.tree.map(close, *trees)


def judge(discriminator, x):
    """(logits, features) of normalized x."""
    return PATCHES.apply({'params': discriminator}, x, None)


@jax.jit
def by_hand(weights):
    """Losses, gradients and metrics, from the definitions, with gradients by `jax.grad`."""
    auto, x, model = NETS.autoencoder, BATCH['x'] / 16, weights.params['model']
    discriminator, codes = weights.params['discriminator'], codebook_of(weights.extra).embedding
    encode = lambda p: auto.encoder.apply({'params': p}, x)
    vectors, to_encoder = jax.vjp(encode, model['encoder'])
    z = codes[jnp.argmin(jnp.square(vectors[..., None, :] - codes).sum(-1), -1)]
    decode = lambda p, z: jax.nn.sigmoid(auto.decoder.apply({'params': p}, z)[..., 0])
    y = decode(model['decoder'], z)
    (real, of_x), (fake, of_y) = judge(discriminator, x), judge(discriminator, y)

    def l_rec(p, z):
        y = decode(p, z)
        return jnp.abs(x - y).sum() / N + 3 * jnp.mean(jnp.abs(of_x - judge(discriminator, y)[1]))

    def l_gan(p, z):
        return -jnp.mean(judge(discriminator, decode(p, z))[0])

    def hinge(p):
        real, fake = judge(p, x)[0], judge(p, y)[0]
        return jnp.mean(jnp.maximum(0, 1 - real)) + jnp.mean(jnp.maximum(0, 1 + fake))

    norm_of = lambda loss: jnp.linalg.norm(
        jax.grad(loss)(model['decoder'], z)[NETS.last_layer]['kernel'].ravel()
    )
    weight = norm_of(l_rec) / (norm_of(l_gan) + 1e-6)
    total = lambda p, z: l_rec(p, z) + 0.8 * jax.lax.stop_gradient(weight) * l_gan(p, z)
    value, (of_decoder, of_z) = jax.value_and_grad(total, (0, 1))(model['decoder'], z)
    apart = vectors - z  # the commitment is a mean over N examples and 4 positions
    (of_encoder,) = to_encoder(of_z + 0.7 * 2 * apart / (4 * N))
    hinge_value, of_discriminator = jax.value_and_grad(hinge)(discriminator)
    return {
        'weight': weight,
        'losses': {
            'model': value + 0.7 * jnp.sum(apart**2) / (4 * N),
            'discriminator': hinge_value,
        },
        'gradients': {
            'model': {'encoder': of_encoder, 'decoder': of_decoder},
            'discriminator': of_discriminator,
        },
        'metrics': {
            'absolute_error': jnp.abs(x - y).sum((1, 2)),
            'squared_error': ((x - y) ** 2).sum((1, 2)),
            'feature_error': jnp.abs(of_x - of_y).mean((1, 2, 3)),
            'quantization_error': (apart**2).sum(-1).mean((1, 2)),
            'accuracy_real': (real > 0).mean((1, 2)),
            'accuracy_fake': (fake < 0).mean((1, 2)),
        },
    }


def test_each_player_descends_its_own_loss(weights):
    """Values, gradients and metrics: the adaptive weight is a constant for the gradients."""
    expected, turn = by_hand(weights), played(weights)
    np.testing.assert_allclose(turn.metrics['adaptive_weight'], expected['weight'], rtol=1e-4)
    assert_close((turn.losses, expected['losses']), rtol=1e-4)
    assert_close((turn.gradients, expected['gradients']), rtol=1e-3, atol=1e-5)
    slopes = jax.tree.leaves(expected['gradients']['model'])
    assert min(np.abs(leaf).max() for leaf in slopes) > 1e-4
    metrics = {name: turn.metrics[name] for name in expected['metrics']}
    assert_close((metrics, expected['metrics']), rtol=1e-4, atol=1e-6)


def test_the_adversarial_terms_begin_at_their_step(weights):
    before, alone = played(weights, START - 1), played(weights, adversarial=0.0)
    assert before.losses['discriminator'] == 0
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(before.gradients['discriminator']))
    without_features = played(weights, adversarial=0.0, feature_matching=0.0)
    assert_close((before.gradients['model'], without_features.gradients['model']), rtol=1e-5)
    assert alone.losses['model'] > before.losses['model']  # with the distance of features


def test_the_adaptive_weight_is_limited(weights):
    kernels = jnp.asarray([[3.0], [4.0]]), jnp.asarray([[0.0], [2.0]])
    np.testing.assert_allclose(vqgan.gradient_ratio(*kernels, 1e4), 2.5, rtol=1e-5)
    assert vqgan.gradient_ratio(kernels[0], jnp.zeros((2, 1)), 1e4) == 1e4
    assert played(weights, adaptive_weight_max=0.01).metrics['adaptive_weight'] == np.float32(0.01)


def test_a_logit_depends_on_its_patch():
    """A kernel of 2 with stride 2, then a window of 3: position 0 sees the pixels 0 to 3."""
    network, x = PatchDiscriminator((8, 8), (), (), **NETWORK), jnp.ones((1, 8, 8))
    params = jax.jit(network.init)(jax.random.PRNGKey(0), x, None)
    slope = jax.jit(jax.grad(lambda x: network.apply(params, x, None)[0][0, 0, 0]))(x)[0]
    assert np.all(slope[:4, :4] != 0)
    assert np.all(slope[4:] == 0) and np.all(slope[:, 4:] == 0)


# Devices, abilities, mistakes


@pytest.mark.slow
@pytest.mark.parametrize('norm', ['batch', 'spectral'])
def test_the_device_count_makes_no_difference(tmp_path, norm):
    """Both players move in all steps, with the adaptive weight of the whole batch."""
    run = make(
        tmp_path,
        hypers__adversarial_start=0.0,
        model__discriminator_norm=norm,
        model__activation='silu',
        model__discriminator_activation='silu',
    )
    one, many = steps_on(run, 1, 5), steps_on(run, 8, 5)
    check_same_on_any_devices(one, many)
    assert one[-1][1]['adaptive_weight'] > 0


def test_abilities_are_those_of_the_vq_vae_without_a_likelihood():
    """Minus an absolute error is none, not even given the codes."""
    assert FAMILY.ability(Codes).tokens.map_shape == (2, 2)
    assert FAMILY.ability(Codes).tokens.size == 5
    assert FAMILY.ability(Reconstruct) is not None
    assert FAMILY.ability(Sample) is FAMILY.ability(LogProb) is None
    assert FAMILY.ability(CodeLikelihood) is None
    assert FAMILY.turns[0].players == ('model', 'discriminator')


@pytest.mark.parametrize(('shape', 'levels'), [((9, 6, 3), 256), ((11,), None)])
def test_any_images_and_signals(shape, levels):
    config_file = checkout.ConfigFile('configs/vqgan.py', 'debug')
    family = config_file.module().build(config_file.config(), Spec(shape, levels, None))
    batch = {'x': jnp.zeros((8, *shape))}

    def decoded_and_metrics(key):
        weights, rng = family.init(key, batch), rng_for(key, jnp.arange(8), 8)
        x = family.ability(Codes).decode(weights, family.ability(Codes).encode(weights, batch, rng))
        return x, family.metrics(weights, batch, rng)

    x, metrics = jax.eval_shape(decoded_and_metrics, jax.random.PRNGKey(0))
    assert x.shape == (8, *shape)
    assert {value.shape for value in metrics.values()} == {(8,)}


def test_advice_is_of_the_codebook_and_of_the_game():
    won = {'train/accuracy_real': 1.0, 'train/accuracy_fake': 1.0, 'train/perplexity': 1.0}
    advice = vqgan.advise_of(50)([won, won])
    assert set(advice) == {'codebook has collapsed', 'discriminator has won'}
    config = checkout.ConfigFile('configs/vqgan.py', None).config()
    assert 'config.hypers.learning_rate_discriminator' in advice['discriminator has won']
    assert config.hypers.learning_rate_discriminator > 0


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__num_codes=0), 'model.num_codes'),
        (dict(model__channels=()), 'model.channels'),
        (dict(model__discriminator_channels=()), 'model.discriminator_channels'),
        (dict(model__discriminator_norm='layer'), "choose one of 'none', 'batch', 'spectral'"),
        (dict(hypers__adversarial=-1.0), 'hypers.adversarial'),
        (dict(hypers__ema_half_life=100.0), 'averaged networks do not fit the codebook'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(make, tmp_path, **changes)
