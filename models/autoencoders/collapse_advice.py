"""Advice against posterior collapse in VAEs, from the history of validation metrics."""

from atelier.core.game import Advise

COLLAPSED_NATS = 0.1  # with a KL below this, z carries no information about x
PATIENCE = 3  # consecutive validations with such a KL before advice is given
KL_ADVICE = (
    'lower --config.hypers.beta, let the KL grow with --config.hypers.kl_warmup_steps=STEPS, or '
    'give each {} --config.hypers.free_nats=0.1'
)


def adviser(advice: str, num_layers: int = 1) -> Advise:
    """Returns a VAE's `Turn.advise`, whose warnings recommend the config changes `advice`.

    `Turn.advise` reads 'kl_nats' and, with several stochastic layers, 'kl_z1_nats', 'kl_z2_nats',
    ...
    """
    layers = {f'kl_z{layer}_nats': f'z{layer}' for layer in range(1, num_layers + 1)}
    layers = layers if num_layers > 1 else {}

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        recent = history[-PATIENCE:]
        highest = {
            name: max(abs(metrics[name]) for metrics in recent)
            for name in ('kl_nats', *layers)
            if name in recent[-1]
        }
        collapsed = [name for name, nats in highest.items() if nats < COLLAPSED_NATS]
        if len(recent) < PATIENCE or not collapsed:
            return {}
        if 'kl_nats' in collapsed:
            return {
                'posterior has collapsed': _warning('the posterior', 'z', recent, 'kl_nats', advice)
            }
        return {
            f'{layers[name]} has collapsed': _warning(
                f'the posterior of {layers[name]}', layers[name], recent, name, advice
            )
            for name in collapsed
        }

    return advise


def _warning(subject: str, z: str, recent: list[dict[str, float]], name: str, advice: str) -> str:
    decoder = ', and the decoder outputs the same for every code' if name == 'kl_nats' else ''
    return (
        f'{subject} has collapsed: its KL to the prior is {recent[-1][name]:.2g} nats, so {z} '
        f'carries no information about x{decoder}; in a new --workdir, {advice}'
    )
