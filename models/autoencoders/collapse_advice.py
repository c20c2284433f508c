"""Advice against posterior collapse in VAEs, from the history of validation metrics."""

from atelier.core.game import Advise

NOTHING_NATS = 0.1  # a KL below this carries no information about x
PATIENCE = 3  # consecutive validations with such a KL before advice is given
CURE_OF_THE_KL = (
    'lower --config.hypers.beta, let the KL grow with --config.hypers.kl_warmup_steps=STEPS, or '
    'give each {} --config.hypers.free_nats=0.1'
)


def adviser(cure: str, num_layers: int = 1) -> Advise:
    """Returns a VAE's `Turn.advise`, whose warnings recommend the config changes `cure`.

    It reads 'kl_nats' and, with several stochastic layers, 'kl_z1_nats', 'kl_z2_nats', ...
    """
    layers = {f'kl_z{layer}_nats': f'z{layer}' for layer in range(1, num_layers + 1)}
    layers = layers if num_layers > 1 else {}

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        newest = history[-PATIENCE:]
        highest = {
            name: max(abs(metrics[name]) for metrics in newest)
            for name in ('kl_nats', *layers)
            if name in newest[-1]
        }
        silent = [name for name, nats in highest.items() if nats < NOTHING_NATS]
        if len(newest) < PATIENCE or not silent:
            return {}
        if 'kl_nats' in silent:
            return {
                'posterior has collapsed': _words('the posterior', 'z', newest, 'kl_nats', cure)
            }
        return {
            f'{layers[name]} has collapsed': _words(
                f'the posterior of {layers[name]}', layers[name], newest, name, cure
            )
            for name in silent
        }

    return advise


def _words(what: str, z: str, newest: list[dict[str, float]], name: str, cure: str) -> str:
    same = ', and the decoder makes the same of every code' if name == 'kl_nats' else ''
    return (
        f'{what} has collapsed: its KL to the prior is {newest[-1][name]:.2g} nats, so that {z} '
        f'says nothing about x{same}; in a new --workdir, {cure}'
    )
