"""The largest images that a model can take, for the message that refuses larger ones."""

from atelier.data.spec import Spec


def largest_image(
    spec: Spec, needed: int | float, available: int | float
) -> tuple[int, int, int] | None:
    """Returns the largest image shape of the same proportions for which `available` is enough.

    It is enough if what is needed grows at most with the square of the number of values, as weights
    or attention between all pairs of values do. What grows more slowly takes larger images, too.

    Args:
      spec: spec of the data.
      needed: what the model needs for images of the spec: bytes, or any other count.
      available: how much of it there is.

    Returns:
      None if the data are not images, if no image is small enough, or if all are.

    Example:
      >>> largest_image(Spec((64, 64, 3), 256, None), needed=160.0, available=10.0)
      (32, 32, 3)
    """
    if spec.image_shape is None or needed <= available:
        return None
    height, width, channels = spec.image_shape
    factor = (available / needed) ** 0.25  # of a side: the pairs are (height x width)^2
    shape = int(factor * height), int(factor * width), channels
    return shape if min(shape) else None


def image_advice(spec: Spec, needed: int | float, available: int | float) -> str:
    """Returns the end of a refusal: the images that `largest_image` names; '' if it names none."""
    shape = largest_image(spec, needed, available)
    if shape is None:
        return ''
    return (
        f'; images of {"x".join(map(str, shape))} are small enough '
        f'(--config.data.image_shape={",".join(map(str, shape))})'
    )
