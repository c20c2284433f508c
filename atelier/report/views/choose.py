"""Which view the data of a Spec have."""

from atelier.data import kinds
from atelier.data.spec import Spec
from atelier.report.views.image_view import IMAGES
from atelier.report.views.point_view import POINTS
from atelier.report.views.signal_view import SIGNALS
from atelier.report.views.table_view import TABLES
from atelier.report.views.value_view import VALUES
from atelier.report.views.view import View

VIEWS = {
    kinds.IMAGES: IMAGES,
    kinds.POINTS: POINTS,
    kinds.SIGNALS: SIGNALS,
    kinds.TABLE: TABLES,
    kinds.VALUES: VALUES,
}


def view_of(spec: Spec) -> View | None:
    """Returns the view of the data (`atelier.data.kinds` has the rule), or None for text."""
    return VIEWS.get(kinds.kind_of(spec))
