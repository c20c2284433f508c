"""Abilities of a two-stage family that go through its codes: encoding, filling in, classifying."""

import jax
import jax.numpy as jnp

from atelier.core.abilities import Classify, Codes, Inpaint, PerExample, Sample, Trajectory
from atelier.core.code_space import known_positions
from atelier.core.family import codes_of
from atelier.core.stages import Stages, of_child, of_parent


def codes(stages: Stages) -> Codes:
    """The child's codes of the parent's codes; without an encoder there, the parent's codes."""
    childs = codes_of(stages.child)
    if childs.encode is None or childs.decode is None:
        return _parents_codes(stages)

    def of_x(function: PerExample | None) -> PerExample | None:
        if function is None:
            return None
        return lambda weights, batch, rng: function(
            of_child(weights), stages.z_mean(weights, batch, rng), rng
        )

    def decode(weights, codes):
        return stages.decode(weights, childs.decode(of_child(weights), codes))

    tokens = childs.tokens
    if tokens is not None:
        vectors = tokens.vectors
        tokens = tokens._replace(
            indices=of_x(tokens.indices),
            vectors=vectors and (lambda weights, indices: vectors(of_child(weights), indices)),
        )
    below = childs.means_below
    return childs._replace(
        encode=of_x(childs.encode),
        decode=decode,
        prior=childs.prior and (lambda weights, rng: childs.prior(of_child(weights), rng)),
        posterior=of_x(childs.posterior),
        tokens=tokens,
        kl=of_x(childs.kl),
        means_below=below and (lambda weights, *rest: below(of_child(weights), *rest)),
    )


def _parents_codes(stages: Stages) -> Codes:
    """The parent's codes, with the child's samples as their prior."""
    parents, sample = stages.space.codes, stages.child.ability(Sample)
    through = lambda f: f and (lambda weights, *rest: f(of_parent(weights), *rest))

    def prior(weights, rng):
        return stages.codes(weights, sample.draw(of_child(weights), rng, None))

    tokens = parents.tokens
    if tokens is not None:
        tokens = tokens._replace(indices=through(tokens.indices), vectors=through(tokens.vectors))
    return Codes(
        encode=through(parents.encode),
        decode=through(parents.decode),
        prior=sample and prior,
        dims=parents.dims,
        tokens=tokens,
        map_shape=parents.map_shape,
    )


def inpaint(stages: Stages) -> Inpaint | None:
    """Fills in unknown positions of a map of codes; otherwise as the parent does.

    A position is known if its whole block of x is. Hidden x is encoded as `middle`.
    """
    own, parents = stages.child.ability(Inpaint), stages.parent.ability(Inpaint)
    positions = stages.space.positions
    if own is None or positions is None:
        return parents and Inpaint(lambda weights, *rest: parents.fill(of_parent(weights), *rest))

    def fill(weights, batch, rng):
        x, known = batch['x'], batch['known'].astype(bool)
        masked = {**batch, 'x': jnp.where(known, x, stages.middle(x))}
        z = stages.z_mean(weights, masked, rng)
        are_known = known_positions(known, positions)[..., None]
        z['known'] = jnp.broadcast_to(are_known, z['x'].shape).astype(bool)
        filled = own.fill(of_child(weights), z, rng)
        return jnp.where(known, x, stages.decode(weights, filled))

    return Inpaint(fill)


def classify(stages: Stages) -> Classify | None:
    """The child's p(label | z), of one draw of z ~ q(z | x).

    For tokens this is p(label | x) of the model, since x depends on the label through z alone.
    """
    own = stages.child.ability(Classify)
    if own is None:
        return None
    return Classify(
        lambda weights, batch, rng: own.logits(
            of_child(weights), stages.z(weights, batch, rng)[0], rng
        )
    )


def trajectory(stages: Stages) -> Trajectory | None:
    """The steps of sampling codes, each decoded."""
    own = stages.child.ability(Trajectory)
    if own is None:
        return None

    def steps(weights, rng, condition):
        decode = jax.vmap(lambda z: stages.decode(weights, z), in_axes=1, out_axes=1)
        inputs, estimates = own.steps(of_child(weights), rng, condition)
        return decode(inputs), decode(estimates)

    return Trajectory(steps, own.evaluations)
