"""Two models as one: a child models the codes z that a parent makes of x.

    log p(x) >= E_q [log p_child(z) + log p_parent(x given z) - log q(z given x)]

where q is the parent's encoder: a distribution, or a function of x with log q = 0, as for the
tokens of a codebook. For a parent that was trained with another prior, as a VAE is, this is the
bound with the prior p_child in its place (Dai and Wipf 2019, section 4; van den Oord et al. 2017,
section 3.3).

The composed family has the weights of both (`atelier.core.stages`). It is used and never trained.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array

from atelier.core.abilities import (
    BoundTerms,
    Conditionals,
    LabelPrior,
    LogProb,
    PerExample,
    Reconstruct,
    Sample,
)
from atelier.core.code_likelihood import CodeLikelihood, TwoPartCode
from atelier.core.code_space import CODE_DRAW, MEANS, TOKENS
from atelier.core.family import Family, present
from atelier.core.randomness import fold_in, rng_for
from atelier.core.stages import Stages, merged, of_child, of_parent
from atelier.core.two_stage_codes import classify, codes, inpaint, trajectory
from atelier.core.types import Weights

X_DRAW = CODE_DRAW + 1  # folded into each row's key
CODE, REST = TERMS = ('code_nats', 'rest_nats')  # metrics whose sum is the bound on -log p(x)


def composed(stages: Stages) -> Family:
    """Returns the family of x whose latent variables are the parent's codes under the child.

    It has each ability for which both families have what it takes. Examples are of the parent's
    data; a class-conditional child reads their labels.
    """

    def init(key, batch):
        parent = stages.parent.init(key, batch)
        both = merged(Weights({}, {}), parent)
        rng = rng_for(key, jnp.arange(len(batch['x'])), len(batch['x']))
        return merged(stages.child.init(key, stages.z_mean(both, batch, rng)), parent)

    return Family(
        init=init,
        turns=(),
        metrics=_metrics(stages),
        abilities=present(
            _sample(stages),
            codes(stages),
            _of_parent(stages, Reconstruct),
            inpaint(stages),
            _log_prob(stages),
            _bound_terms(stages),
            classify(stages),
            _label_prior(stages),
            trajectory(stages),
            _two_part_code(stages),
        ),
    )


def _likelihood(stages: Stages) -> CodeLikelihood | None:
    """Returns p(x | z), if the kind of codes allows a bound: means have no density under q."""
    return None if stages.space.kind == MEANS else stages.parent.ability(CodeLikelihood)


def _of_parent(stages: Stages, kind: type[Reconstruct]) -> Reconstruct | None:
    ability = stages.parent.ability(kind)
    return ability and Reconstruct(lambda weights, *rest: ability.mean(of_parent(weights), *rest))


def _sample(stages: Stages) -> Sample | None:
    """Draws z ~ p_child, then x ~ p(x | z); or the parent's mean of x, if it has no p(x | z)."""
    own, likelihood = stages.child.ability(Sample), stages.parent.ability(CodeLikelihood)
    if own is None:
        return None

    def mean(weights, rng, condition):
        return stages.decode(weights, own.draw(of_child(weights), rng, condition))

    def draw(weights, rng, condition):
        latent = stages.codes(weights, own.draw(of_child(weights), rng, condition))
        return likelihood.draw(of_parent(weights), latent, fold_in(rng.keys, X_DRAW))

    labels = own.labels and (lambda weights, rng: own.labels(of_child(weights), rng))
    if likelihood is None:
        return own._replace(draw=mean, labels=labels, mean=None)
    return own._replace(draw=draw, labels=labels, mean=mean)


def _terms(stages: Stages, nats_of: PerExample, weights, batch, rng) -> dict[str, Array]:
    """Returns -log p_child(z) and -log p(x | z) + log q(z | x) [local], which bound -log p(x).

    They are the metrics TERMS.

    Args:
      stages: with a likelihood.
      nats_of: log p_child.
      weights: of the composed family.
      batch: of the parent's data.
      rng: of the draw of z.
    """
    z, log_q = stages.z(weights, batch, rng)
    latent = stages.codes(weights, z['x'])
    log_px = _likelihood(stages).nats(of_parent(weights), latent, batch)
    code = -nats_of(of_child(weights), z, rng)
    return {CODE: code, REST: log_q - log_px}


def _log_prob(stages: Stages) -> LogProb | None:
    own = stages.child.ability(LogProb)
    if own is None or _likelihood(stages) is None:
        return None

    def through(nats_of: PerExample | None) -> PerExample | None:
        if nats_of is None:
            return None
        return lambda *arguments: -sum(_terms(stages, nats_of, *arguments).values())

    draws = '' if stages.space.kind == TOKENS else '1 draw of the codes'
    budget = ', '.join(filter(None, (own.budget, draws)))
    kind = 'estimate' if own.kind == 'estimate' else 'lower bound'
    return LogProb(through(own.nats), kind, budget, through(own.coarser), terms=TERMS)


def _bound_terms(stages: Stages) -> BoundTerms | None:
    own = stages.child.ability(LogProb)
    if own is None or own.kind == 'estimate' or _likelihood(stages) is None:
        return None

    return BoundTerms(lambda *arguments: _terms(stages, own.nats, *arguments))


def _elbo(stages: Stages, terms: dict[str, Array], weights, batch, rng) -> dict[str, Array]:
    """Returns {'elbo_nats': the lower bound on log p(x)}; {} if the child has none for its z.

    An estimate of log p_child(z), such as one of importance samples, gives no ELBO: that of the
    child takes its place.

    Args:
      stages: with a likelihood.
      terms: those of `_terms`, with the same arguments.
      weights: of the composed family.
      batch: of the parent's data.
      rng: of the draw of z.
    """
    log_p = -terms[CODE]
    if stages.child.ability(LogProb).kind == 'estimate':
        z, _ = stages.z(weights, batch, rng)
        log_p = stages.child.metrics(of_child(weights), z, rng).get('elbo_nats')
    return {} if log_p is None else {'elbo_nats': log_p - terms[REST]}


def _metrics(stages: Stages) -> Callable:
    """Returns the parent's metrics under names with 'parent_', and what is known of the codes."""
    own, likelihood = stages.child.ability(LogProb), _likelihood(stages)

    def metrics(weights, batch, rng):
        parents = stages.parent.metrics(of_parent(weights), batch, rng)
        values = {f'parent_{name}': value for name, value in parents.items()}
        if own is not None and likelihood is not None:
            terms = _terms(stages, own.nats, weights, batch, rng)
            return values | terms | _elbo(stages, terms, weights, batch, rng)
        z, _ = stages.z(weights, batch, rng)
        if own is not None:
            return values | {CODE: -own.nats(of_child(weights), z, rng)}
        children = stages.child.metrics(of_child(weights), z, rng)
        return values | {f'codes_{name}': value for name, value in children.items()}

    return metrics


def _label_prior(stages: Stages) -> LabelPrior | None:
    own = stages.child.ability(LabelPrior)
    return own and LabelPrior(lambda weights: own.log_probs(of_child(weights)))


def _two_part_code(stages: Stages) -> TwoPartCode | None:
    """The tokens by the child's chain rule, and each value of x given the tokens."""
    own, likelihood = stages.child.ability(Conditionals), _likelihood(stages)
    is_discrete = likelihood is not None and likelihood.level_log_probs is not None
    if own is None or stages.space.kind != TOKENS or not is_discrete:
        return None
    space = stages.space

    def begin(weights, given):
        empty = jnp.zeros((len(given['x']), *space.shape))
        return own.begin(of_child(weights), {**given, 'x': empty})

    def tokens(weights, batch, rng):
        return space.codes.tokens.indices(of_parent(weights), batch, rng)

    def level_log_probs(weights, indices, given):
        vectors = space.codes.tokens.vectors(of_parent(weights), indices)
        return likelihood.level_log_probs(of_parent(weights), vectors, given)

    return TwoPartCode(
        tokens=tokens,
        size=space.levels,
        map_shape=space.shape,
        conditionals=Conditionals(
            order=lambda weights: own.order(of_child(weights)),
            begin=begin,
            step=lambda weights, *rest: own.step(of_child(weights), *rest),
        ),
        level_log_probs=level_log_probs,
    )
