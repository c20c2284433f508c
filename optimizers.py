"""The optimizer as a function of traced hyper-parameters: changing one never recompiles."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


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
    for name in hypers:
        if name.startswith('milestone_') and name != 'milestone_factor':
            rate *= jnp.where(step < hypers[name], 1.0, hypers['milestone_factor'])
    return rate


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


def _own(hypers: dict, name: str, player: str):
    return hypers.get(f'{name}_{player}', hypers[name])
