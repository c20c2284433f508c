"""The memory of the machine."""

import os


def total_bytes() -> int:
    """Returns the size of the machine's memory."""
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
