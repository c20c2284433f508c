"""Which view the data of a Spec have."""

from atelier.data import kinds
from atelier.data.spec import Spec
from atelier.report.views.image_view import IMAGES
from atelier.report.views.item_view import ITEMS
from atelier.report.views.point_view import POINTS
from atelier.report.views.signal_view import SIGNALS
from atelier.report.views.table_view import TABLES
from atelier.report.views.value_view import VALUES
from atelier.report.views.view import View

MANY = 1000  # small events, of which a figure shows the distribution
MAX_SMALL = 16  # values of a small event
VIEWS = {
    kinds.IMAGES: IMAGES,
    kinds.ITEMS: ITEMS,
    kinds.POINTS: POINTS,
    kinds.SIGNALS: SIGNALS,
    kinds.TABLE: TABLES,
    kinds.VALUES: VALUES,
}


def view_of(spec: Spec) -> View | None:
    """Returns the view of the data (`atelier.data.kinds` has the rule); None for endless text."""
    return VIEWS.get(kinds.kind_of(spec))


def shows_distribution(spec: Spec) -> bool:
    """Whether figures show how the events are distributed: small ones, but no images and texts.

    They need `MANY` events, and figures of others a few.
    """
    return view_of(spec) not in (None, IMAGES, ITEMS) and spec.num_dims <= MAX_SMALL
