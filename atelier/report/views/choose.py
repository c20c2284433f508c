"""Which view the data of a Spec have."""

from atelier.data.spec import Spec
from atelier.report import image_grids
from atelier.report.views.image_view import IMAGES
from atelier.report.views.view import View


def view_of(spec: Spec) -> View | None:
    """Returns the view of the data, or None if there is none, as for text."""
    if image_grids.is_image(spec):
        return IMAGES
    return None
