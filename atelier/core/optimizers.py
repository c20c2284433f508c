"""The optimizer as a function of traced hyper-parameters: changing one never recompiles."""

import itertools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict
from optax.contrib import MuonDimensionNumbers

from atelier.core.types import Optimizer
from atelier.errors import choose

RMS = 0.2  # of Adam's updates, about: those of Muon are made as large


def learning_rate(hypers: dict, step, player: str = 'model') -> Float[Array, '']:
    """Linear warm-up, then half a cosine from the peak to `learning_rate_end`; and falls at steps.

    hypers:
      learning_rate: the peak.
      warmup_steps: the rate is peak * (step + 1) / warmup_steps before this step.
      decay_steps: the step at which the cosine arrives; the rate stays there. 0: no decay.
      milestone_1, milestone_2, ..., where a config has them: the steps from each of which on the
        rate is multiplied by milestone_factor.
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
    """The steps milestone_1, milestone_2, ..., as many as there are without a gap."""
    names = (f'milestone_{i}' for i in itertools.count(1))
    return [hypers[name] for name in itertools.takewhile(hypers.__contains__, names)]


def adam(player: str, hypers: dict, step) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) with clipping by global norm and decoupled weight decay.

    hypers: those of `learning_rate`, and `clip_norm` (0: no clipping), `adam_beta1`, `adam_beta2`,
    `adam_eps`, `weight_decay`. Where `NAME_PLAYER` exists, as in `adam_beta1_critic`, it is that
    player's own.
    """
    own = lambda name: _own(hypers, name, player)
    return optax.chain(
        clip_by_global_norm(own('clip_norm')),
        optax.scale_by_adam(own('adam_beta1'), own('adam_beta2'), own('adam_eps')),
        optax.add_decayed_weights(own('weight_decay')),
        optax.scale(-learning_rate(hypers, step, player)),
    )


def muon(player: str, hypers: dict, step) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024) of dense layers' kernels, and Adam of all else.

    A kernel [in, out] moves along the mean of its gradients, with Nesterov's momentum of 0.95 and
    all singular values made about 1, by a root mean square of 0.2 times the learning rate, which is
    about Adam's (Liu et al. 2025, section 2.2). Kernels of more axes are left to Adam, whose
    momentum is Nesterov's too (Dozat 2016): of what layers are stacked, or heads, or places, their
    axes do not say. So are matrices of other names: tables, and those of recurrent cells.

    hypers: those of `adam`; its beta1, beta2 are not Muon's.
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
    """The one that `config.train.optimizer` names; Adam where there is nothing to descend.

    Raises:
      UserError: there is no such optimizer.
    """
    name = config.train.get('optimizer', 'adam')
    return choose('train.optimizer', name, {'adam': adam, 'muon': muon})


def clip_by_global_norm(most) -> optax.GradientTransformation:
    """Scales all gradients to a joint norm of at most `most` (Pascanu et al. 2013); 0: it does not.

    As optax's, by one factor: that divides every gradient by the norm before it chooses, which
    without clipping would be a pass over memory for nothing.
    """

    def clip(updates, params):
        del params
        most_or_all = jnp.where(most > 0, most, jnp.inf)
        norm = optax.tree.norm(updates)
        factor = jnp.where(norm > most_or_all, most_or_all / norm, 1.0)
        return jax.tree.map(lambda update: factor * update, updates)

    return optax.stateless(clip)


def _kernels(params):
    """The axes, rows and columns, of dense layers' kernels; None for all else."""

    def axes(path, leaf) -> MuonDimensionNumbers | None:
        is_kernel = jax.tree_util.keystr(path[-1:], simple=True) == 'kernel' and leaf.ndim == 2
        return MuonDimensionNumbers() if is_kernel else None

    return jax.tree_util.tree_map_with_path(axes, params)


def _own(hypers: dict, name: str, player: str):
    return hypers.get(f'{name}_{player}', hypers[name])
