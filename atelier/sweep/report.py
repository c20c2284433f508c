"""`--mode=report`: writes the page of a run, of several runs, or of a sweep."""

from collections.abc import Sequence

from atelier.applications import origin_of
from atelier.errors import A_RUN, UserError, reading
from atelier.evaluation.pages.run_page import write_page_of_run
from atelier.evaluation.pages.runs_page import write_page_of_runs
from atelier.log import log
from atelier.paths import user_path
from atelier.sweep import folder as sweep_folder
from atelier.sweep.page import write_page_of_sweep

DEFAULT_TARGET = 'runs/compare'  # as of --mode=compare


def write_report(runs: Sequence[str], workdir: str | None) -> None:
    """Writes report.html: of the runs `runs` in the folder `workdir` (runs/compare by default), or
    of the run or the sweep in `workdir`.

    Raises:
      UserError: neither is given, or as the functions that write the pages.
    """
    if runs:
        path, size = write_page_of_runs(runs, user_path(workdir or DEFAULT_TARGET))
    elif not workdir:
        raise UserError(f'--mode=report needs --workdir=RUN, {A_RUN}; or --runs=RUN,RUN,...')
    else:
        folder = user_path(workdir)
        with reading(folder):
            is_sweep = (folder / sweep_folder.NAME).is_file()
        path, size = (
            write_page_of_sweep(workdir) if is_sweep else write_page_of_run(workdir, origin_of)
        )
    log.info('page: %s (%.2f MB; a browser opens it without a network)', path, size / 1e6)
