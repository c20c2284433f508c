"""Optimizers as functions of traced hyper-parameters: changing one never recompiles."""

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict
from optax.contrib import MuonDimensionNumbers

from atelier.core import precision
from atelier.core.types import HoldingRule, Optimizer
from atelier.errors import UserError, at_least, choose, share

RMS = 0.2  # approximate RMS of Adam's updates, to which Muon's are scaled


def learning_rate(hypers: dict, step, player: str = 'model') -> Float[Array, '']:
    """Returns the rate: linear warm-up, then cosine decay from the peak, reduced at milestones.

    hypers:
      learning_rate: the peak.
      warmup_steps: before this step the rate is peak * (step + 1) / warmup_steps.
      decay_steps: the step at which the cosine reaches `learning_rate_end`; the rate then stays
        constant. 0: no decay.
      milestone_1, milestone_2, ..., optional: from each of these steps on, the rate is multiplied
        by milestone_factor once more.
    """
    peak = jnp.asarray(_own(hypers, 'learning_rate', player), jnp.float32)
    end = jnp.asarray(hypers['learning_rate_end'], jnp.float32)
    step = jnp.asarray(step, jnp.float32)
    warmup = jnp.asarray(hypers['warmup_steps'], jnp.float32)
    decay = jnp.asarray(hypers['decay_steps'], jnp.float32)
    progress = jnp.clip((step - warmup) / jnp.maximum(decay - warmup, 1.0), 0.0, 1.0)
    cosine = end + (peak - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
    rate = jnp.where(decay > 0, cosine, peak)
    rate = jnp.where(step < warmup, peak * (step + 1.0) / jnp.maximum(warmup, 1.0), rate)
    for milestone in _milestones(hypers):
        rate *= jnp.where(step < milestone, 1.0, hypers['milestone_factor'])
    return rate


def _milestones(hypers: dict) -> list:
    """Returns the steps milestone_1, milestone_2, ..., up to the first gap."""
    names = (f'milestone_{i}' for i in itertools.count(1))
    return [hypers[name] for name in itertools.takewhile(hypers.__contains__, names)]


def check_hypers(hypers: Mapping[str, Any] | ConfigDict) -> None:
    """Checks the values that an optimizer reads, and that all others are not negative.

    Raises:
      UserError: a value is out of range, or two values are no schedule together; the message names
        the fields.
    """
    for name, value in hypers.items():
        at_least(0, f'hypers.{name}', value)
        if name.startswith(('adam_beta1', 'adam_beta2')):
            share(f'hypers.{name}', value, below_one=True)
    decay, warmup = hypers.get('decay_steps', 0), hypers.get('warmup_steps', 0)
    if 0 < decay <= warmup:
        raise UserError(
            f'config.hypers.warmup_steps={warmup:g} is not below config.hypers.decay_steps='
            f'{decay:g}: the rate would not decay but drop at once; lower the first or raise the '
            'second (0: no decay)'
        )
    end = hypers.get('learning_rate_end', 0)
    for name, rate in hypers.items():
        is_rate = name.startswith('learning_rate') and name != 'learning_rate_end'
        if decay and is_rate and rate < end:
            raise UserError(
                f'config.hypers.learning_rate_end={end:g} is above config.hypers.{name}={rate:g}: '
                'the rate would rise as it decays; lower the first or raise the second'
            )


def adam(player: str, hypers: dict, step) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) with clipping by global norm and decoupled weight decay.

    hypers: those of `learning_rate`, and `clip_norm` (0: no clipping), `adam_beta1`, `adam_beta2`,
    `adam_eps`, `weight_decay`. An entry `NAME_PLAYER`, such as `adam_beta1_critic`, overrides NAME
    for that player.
    """
    own = lambda name: _own(hypers, name, player)
    return HoldingRule(
        *optax.chain(
            clip_by_global_norm(own('clip_norm')),
            scale_by_adam(own('adam_beta1'), own('adam_beta2'), own('adam_eps')),
            optax.add_decayed_weights(own('weight_decay')),
            optax.scale(-learning_rate(hypers, step, player)),
        )
    )


def scale_by_adam(beta1, beta2, eps) -> HoldingRule:
    """Adam's direction (Kingma and Ba 2015, Algorithm 1), with the state and numbers of Optax."""

    def update(gradients, state: optax.ScaleByAdamState, params=None, *, finite=None):
        del params
        count = optax.safe_increment(state.count)
        mu = optax.tree.update_moment(gradients, state.mu, beta1, 1)
        nu = optax.tree.update_moment_per_elem_norm(gradients, state.nu, beta2, 2)
        new = optax.ScaleByAdamState(count, mu, nu)
        if finite is not None:
            new = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state)
        mean = optax.tree.bias_correction(new.mu, beta1, count)
        square = optax.tree.bias_correction(new.nu, beta2, count)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mean, square), new

    return HoldingRule(optax.scale_by_adam(beta1, beta2, eps).init, update)


def muon(player: str, hypers: dict, step) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) for the kernels of dense layers, Adam for everything else.

    A kernel [in, out] moves along its Nesterov momentum (coefficient 0.95), orthogonalized so that
    all singular values are about 1. This is `optax.contrib.muon`, whose momentum has the bias
    correction of Adam. The code of Jordan et al. has none. It changes the weight of the momentum
    relative to that of the gradient: by a factor of 0.51 at step 1, 0.998 at step 60. The update's
    root mean square is 0.2 times the learning rate, about that of Adam (Liu et al. 2025, section
    2.2). Adam, here also with Nesterov momentum (Dozat 2016), updates kernels with more than two
    axes, because their shapes do not tell whether the axes index stacked layers, heads or
    positions. It also updates matrices with other names, such as embedding tables and the matrices
    of recurrent cells.

    hypers: those of `adam`; `adam_beta1` and `adam_beta2` do not apply to Muon.
    """
    own = lambda name: _own(hypers, name, player)
    return optax.chain(
        clip_by_global_norm(own('clip_norm')),
        optax.contrib.muon(
            learning_rate(hypers, step, player),
            eps=own('adam_eps'),
            weight_decay=own('weight_decay'),
            adam_b1=own('adam_beta1'),
            adam_b2=own('adam_beta2'),
            adam_weight_decay=own('weight_decay'),
            muon_weight_dimension_numbers=_kernels,
            consistent_rms=RMS,
        ),
    )


def chosen(config: ConfigDict) -> Optimizer:
    """Returns the optimizer that `config.train.optimizer` names; Adam if there is no such field.

    Its products, those of Muon, have the precision of `config.train.precision`.

    Raises:
      UserError: there is no such optimizer, or no such precision.
    """
    name = config.train.get('optimizer', 'adam')
    optimizer = choose('train.optimizer', name, {'adam': adam, 'muon': muon})
    return precision.optimizer_with_precision(optimizer, precision.of_config(config.train))


def clip_by_global_norm(max_norm) -> optax.GradientTransformation:
    """Clips the joint norm of all gradients to `max_norm` (Pascanu et al. 2013); 0: no clipping.

    Like optax's function, but multiplies by one factor. Optax divides every gradient by the norm
    before it knows whether to clip, which wastes a pass over memory if nothing is clipped.
    """

    def clip(updates, params):
        del params
        limit = jnp.where(max_norm > 0, max_norm, jnp.inf)
        norm = optax.tree.norm(updates)
        factor = jnp.where(norm > limit, limit / norm, 1.0)
        return jax.tree.map(lambda update: factor * update, updates)

    return optax.stateless(clip)


def _kernels(params):
    """Returns the row and column axes of dense layers' kernels, None for all other leaves."""

    def axes(path, leaf) -> MuonDimensionNumbers | None:
        is_kernel = jax.tree_util.keystr(path[-1:], simple=True) == 'kernel' and leaf.ndim == 2
        return MuonDimensionNumbers() if is_kernel else None

    return jax.tree_util.tree_map_with_path(axes, params)


def _own(hypers: dict, name: str, player: str):
    return hypers.get(f'{name}_{player}', hypers[name])
