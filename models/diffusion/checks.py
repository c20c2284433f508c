"""Refuses invalid diffusion models before they are compiled."""

from atelier.data.classes import described
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, share
from models.diffusion.sampling import Sampling


def check_label_dropout(label_dropout: float, is_conditional: bool, spec: Spec) -> None:
    """Refuses settings that leave a class, or the null label, untrained although it will be used.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    share('model.label_dropout', label_dropout)
    if not is_conditional:
        return
    if label_dropout == 1:
        raise UserError(
            'config.model.label_dropout=1 hides every label: give less, or '
            '--config.model.is_conditional=False'
        )
    if spec.left_out and not label_dropout:
        raise UserError(
            f'training has no example of the classes '
            f'{described(spec, spec.left_out)} (config.data.without_classes): set '
            '--config.model.label_dropout above 0, because other examples of these classes get the '
            'null label, which has to be trained'
        )


def check_sampling(
    sampling: Sampling, max_steps: int | None, is_conditional: bool, label_dropout: float
) -> None:
    """Refuses values out of range, too many steps, and guidance that the model is not trained for.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    steps, guidance = sampling.steps, sampling.guidance
    at_least(0, 'eval.sampler.guidance', guidance)
    at_least(1, 'eval.sampler.steps', steps)
    at_least(1, 'eval.sampler.resamples', sampling.resamples)
    if max_steps and steps > max_steps:
        raise UserError(
            f'config.eval.sampler.steps={steps}: give at most the {max_steps} steps of the '
            'discrete process'
        )
    if guidance != 1.0 and not is_conditional:
        raise UserError(
            f'config.eval.sampler.guidance={guidance}: this model is unconditional; give 1, '
            'or train with --config.model.is_conditional=True on data with labels'
        )
    if guidance != 1.0 and not label_dropout:
        raise UserError(
            f'config.eval.sampler.guidance={guidance} needs a model trained with '
            '--config.model.label_dropout above 0, because otherwise the null label is untrained; '
            'give 1'
        )


def check_likelihood(
    spec: Spec, kind: str, num_times: int, ode_steps: int, ode_probes: int
) -> None:
    """Refuses values out of range, and the ODE's density for discrete data.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    at_least(1, 'eval.num_times', num_times)
    at_least(1, 'eval.ode_steps', ode_steps)
    at_least(0, 'eval.ode_probes', ode_probes)
    if kind == 'ode' and spec.levels is not None:
        raise UserError(
            "config.eval.likelihood='ode' is a density, but these data have "
            f'{spec.levels} levels: train with --config.data.dequantize=uniform'
        )
