"""Classification by Bayes' rule: p(label | x) of a model that knows p(x | label)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from atelier.data.dataset import Spec


def classifier_by_bayes_rule(nats: Callable, spec: Spec) -> Callable:
    """The ability `classify` of a family whose likelihood `nats` is that of x given its label.

    Its logits are log p(x | label), so that the classes are equally likely before x is seen; those
    that training does not see are impossible. The classes share an example's draws: what an
    estimate of one owes to luck it owes for the others as well.
    """
    classes = np.arange(spec.num_classes)
    is_known = np.isin(classes, spec.known_classes)

    def classify(params, extra, batch, draw):
        def of_class(number):
            label = jnp.full(len(batch['x']), number, jnp.int32)
            return nats(params, extra, {**batch, 'label': label}, draw)

        logits = jax.lax.map(of_class, jnp.asarray(classes)).T
        return jnp.where(is_known, logits, -jnp.inf)

    return classify
