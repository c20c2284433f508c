"""Classification by Bayes' rule: p(label | x) from a model of p(x | label)."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core.abilities import Classify, PerExample
from atelier.data.dataset import Spec
from models.nets.conditioning import is_on_class


def classifier_by_bayes_rule(
    nats: PerExample, spec: Spec, is_conditional: bool = True
) -> Classify | None:
    """The classifier of a family whose log likelihood `nats` is log p(x | label).

    None if the family is not conditional, or on something else than a class.

    Its logits are log p(x | label), because the prior over classes is uniform; classes absent from
    training have probability 0. All classes share an example's random draws, so that the noise of
    their estimates is shared too.
    """
    if not is_on_class(spec, is_conditional):
        return None
    classes = np.arange(spec.num_classes)
    is_known = np.isin(classes, spec.known_classes)

    def logits(weights, batch, rng):
        def log_prob_given(class_index):
            label = jnp.full(len(batch['x']), class_index, jnp.int32)
            return nats(weights, {**batch, 'label': label}, rng)

        log_probs = jax.lax.map(log_prob_given, jnp.asarray(classes)).T
        return jnp.where(is_known, log_probs, -jnp.inf)

    return Classify(logits)
