"""The page of one run."""

import pathlib

from atelier import leftovers
from atelier.evaluation.pages.about_sections import (
    config_section,
    data_section,
    provenance_section,
)
from atelier.evaluation.pages.curve_sections import charts_of_run, curve_section
from atelier.evaluation.pages.known import Known, known
from atelier.evaluation.pages.overview import overview
from atelier.evaluation.pages.picture_section import OriginOf, picture_section
from atelier.evaluation.pages.results import results
from atelier.report.page import page
from atelier.report.page.page import Limits, Page
from atelier.report.page.pictures import Pictures
from atelier.run.run_folder import PAGE


def write_page_of_run(folder: str, origin_of: OriginOf) -> tuple[pathlib.Path, int]:
    """Writes the page of a run into its folder; returns its path and its bytes.

    Args:
      folder: of the run.
      origin_of: names the mode that made a picture.

    Raises:
      UserError: the folder is not a run, a file of it is damaged, or the page cannot be written.
    """
    run = known(folder)
    leftovers.remove_files(run.folder)
    path = run.folder / PAGE
    return path, page.write(path, lambda limits, pictures: _page(run, limits, pictures, origin_of))


def _page(run: Known, limits: Limits, pictures: Pictures, origin_of: OriginOf) -> Page:
    more = run.log.num_curves - len(run.log.curves)
    curves, charts = curve_section(charts_of_run(run.log), limits, more)
    sections = [
        overview(run),
        results(run, limits),
        *curves,
        *picture_section(run, limits, pictures, origin_of),
        *data_section(run.data, limits),
        config_section(run.config, run.file, limits),
        provenance_section(run, limits),
    ]
    of = f'of {run.file.file}' if run.record['path'] else 'that was trained from Python'
    lead = run.file.headline or f'A run {of}'
    return Page(run.folder.resolve().name, lead, sections, charts)
