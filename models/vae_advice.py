"""What to change where a VAE's posterior collapses, told by how validation went so far."""

from collections.abc import Callable

NOTHING_NATS = 0.1  # of KL: less says nothing about x
PATIENCE = 3  # validations in a row
CURE_OF_THE_KL = (
    'lower --config.hypers.beta, let the KL grow with --config.hypers.kl_warmup_steps=STEPS, or '
    'give each {} --config.hypers.free_nats=0.1'
)


def adviser(cure: str) -> Callable[[list[dict[str, float]]], dict[str, str]]:
    """Returns `Family.advise` of a VAE that the config lines `cure` treat; it reads 'kl_nats'."""

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        newest = [metrics['kl_nats'] for metrics in history[-PATIENCE:]]
        if len(newest) < PATIENCE or max(newest) >= NOTHING_NATS:
            return {}
        return {
            'posterior has collapsed': (
                f'the posterior has collapsed: its KL to the prior is {newest[-1]:.2g} nats, so '
                'that z says nothing about x, and the decoder makes the same of every code; in a '
                f'new --workdir, {cure}'
            )
        }

    return advise
