"""Faults of a drawn figure: texts that are cut or overlap."""

from atelier.report import figures

TOLERANCE = 2.0  # pixels by which texts may touch or leave the figure


def check_texts(figure, canvas=None) -> None:
    """Checks that no text of a figure is cut by its border or overlaps another.

    Draws the figure unless `canvas`, on which it has been drawn, is given.

    Raises:
      AssertionError: a text is cut or overlaps; names the texts.
    """
    boxes = text_boxes(figure, canvas)
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        assert box.x0 >= -TOLERANCE and box.x1 <= width + TOLERANCE, f'{text!r} is cut: {box}'
        assert box.y0 >= -TOLERANCE and box.y1 <= height + TOLERANCE, f'{text!r} is cut: {box}'
    for i, (text, box) in enumerate(boxes):
        for other, other_box in boxes[i + 1 :]:
            assert not _overlap(box, other_box), f'{text!r} and {other!r} overlap'


def text_boxes(figure, canvas=None) -> list:
    """Returns (text, its box in pixels) of each text that `figures.pixels` draws."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    with figures.style():
        canvas = canvas or figures.drawn(figure)
    renderer = canvas.get_renderer()
    hidden = set()  # labels of ticks outside the range, which are not drawn
    for axis in figure.findobj(Axis):
        labels = {label for tick in _all_ticks(axis) for label in (tick.label1, tick.label2)}
        is_shown = axis.get_visible() and axis.axes.axison and axis.axes.get_visible()
        drawn = axis._update_ticks() if is_shown else []
        shown = {label for tick in drawn for label in (tick.label1, tick.label2)}
        hidden |= labels - shown
        if not is_shown:
            hidden |= {axis.label, axis.offsetText}
    texts = [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


def _all_ticks(axis) -> list:
    return [*axis.get_major_ticks(), *axis.get_minor_ticks()]


def _overlap(box, other) -> bool:
    """Whether two boxes share more than a rim of `TOLERANCE` pixels."""
    across = min(box.x1, other.x1) - max(box.x0, other.x0)
    along = min(box.y1, other.y1) - max(box.y0, other.y0)
    return across > TOLERANCE and along > TOLERANCE
