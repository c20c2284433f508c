"""Values that float32 rounds to much of their spread are refused."""

import numpy as np
import pytest

from atelier.core.float32 import check_precision, is_scale
from atelier.errors import UserError


def test_scales_and_their_inverses_are_normal_numbers():
    assert is_scale(1e-37) and is_scale(1.0) and is_scale(1e37)
    assert not any(map(is_scale, (0.0, 1e-39, 1e38, float('nan'))))


def test_precision_is_that_of_the_largest_value():
    spread = np.float32(1.7e9) - np.nextafter(np.float32(1.7e9), np.float32(0))  # 128
    check_precision('time', 1.7e9, 100 * float(spread), 1.7e9)
    with pytest.raises(UserError, match='time varies by 1 around .*subtract an offset'):
        check_precision('time', 1.7e9, 1.0, 1.7e9)
