"""What to change where a game goes wrong, told by the validation metrics so far."""

KNOWS = 0.98  # accuracy on both kinds from which a discriminator has won
FALL = 0.5  # share of the best coverage so far below which a generator has collapsed


def advise(history: list[dict[str, float]]) -> dict[str, str]:
    """Warnings by what is wrong, in plain words with the config line that treats it.

    `history` holds the means of each validation, the newest last: of the accuracies, and
    'coverage' of the validation examples by samples.
    """
    warnings = {}
    newest, before = history[-1], history[:-1]
    pair = [newest.get(name, 0.0) for name in ('accuracy_real', 'accuracy_fake')]
    if min(pair) >= KNOWS:
        warnings['discriminator has won'] = (
            f'the discriminator has won: it knows {pair[0]:.0%} of real and {pair[1]:.0%} of '
            'generated examples, and teaches the generator little. In a new --workdir, lower '
            "--config.hypers.learning_rate (the discriminator's), or give "
            '--config.model.penalty=r1 or --config.model.discriminator_norm=spectral'
        )
    best = max((metrics.get('coverage', 0.0) for metrics in before), default=0.0)
    coverage = newest.get('coverage', best)
    if coverage < FALL * best:
        warnings['generator has collapsed'] = (
            f'the generator has collapsed: its samples cover {coverage:.0%} of the validation '
            f'examples, {best:.0%} at best. In a new --workdir, give --config.model.packing=4 or '
            '--config.model.penalty=r1, or lower --config.hypers.learning_rate_generator'
        )
    return warnings
