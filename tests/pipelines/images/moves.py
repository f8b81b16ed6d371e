"""A picture whose colours say where a pixel came from, and the map that is read off a view of it."""

from __future__ import annotations

import numpy as np

from tests.pipelines.images.layer_arguments import SIZE

# Red grows by 4 for each column, green for each row; bilinear interpolation gives such ramps exactly.
_STEP, _START = 4.0, 20.0
_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
RAMP = np.stack([_START + _STEP * _COLUMNS, _START + _STEP * _ROWS, np.full_like(_ROWS, 100)], -1)


def places(view: np.ndarray) -> np.ndarray:
    """Where each pixel of a view of `RAMP` came from, (height, width, 2): x, y."""
    return (view[..., :2].astype(np.float64) - _START) / _STEP


def to_source(view: np.ndarray, half: int = 4) -> np.ndarray:
    """The affine map (2, 3) from places (x, y, 1) of a view of `RAMP` to those they came from, by its middle.

    The middle, `half` pixels either way, must come from inside the image.
    """
    middle = slice(SIZE // 2 - half, SIZE // 2 + half)
    y, x = np.mgrid[middle, middle]
    ones_too = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], 1)
    sources = places(view)[middle, middle].reshape(-1, 2)
    matrix, _, _, _ = np.linalg.lstsq(ones_too, sources, rcond=None)
    np.testing.assert_allclose(ones_too @ matrix, sources, atol=1e-3)
    return np.asarray(matrix.T)
