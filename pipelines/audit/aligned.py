"""Compares two images that may be crops of each other: the best correlation over windows of either."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.arrays import Singles
from pipelines.audit.traits import SMALL

# Sides of the windows, as a share of the image, and where they lie along each side, as a share of what is cut off.
SIDES = (1.0, 0.95, 0.9)
CORNERS = (0.0, 0.5, 1.0)
# Correlation without alignment below which none is tried: of 150 photographs cropped by 5 % on all sides, 149 have
# more.
LEAST_AS_IT_IS = 0.4
SMOOTHING = 1.0  # pixels, standard deviation
MARGIN = 1  # pixels at each border whose differences are those of the window's edge


def aligned_likeness(first: Singles, second: Singles) -> Singles:
    """How much alike images are in pairs, whichever is a crop of the other.

    Args:
        first: (pairs, `SMALL`, `SMALL`) grey levels.
        second: (pairs, `SMALL`, `SMALL`) grey levels.

    Returns:
        (pairs,) the greatest correlation of their smoothed edges, in [-1, 1]; 0 where one of them has none. Pairs that
        have hardly any as they are keep that one.
    """
    from scipy.ndimage import gaussian_filter

    # Without it, edges that lie half a pixel apart do not correlate.
    smoothed: list[Singles] = [gaussian_filter(images, (0, SMOOTHING, SMOOTHING)) for images in (first, second)]
    best: Singles = (_edges(smoothed[0]) * _edges(smoothed[1])).sum(1)
    close = np.flatnonzero(best > LEAST_AS_IT_IS)
    if not len(close):
        return best
    smoothed = [images[close] for images in smoothed]
    for whole, cropped in (smoothed, smoothed[::-1]):
        edges = _edges(whole)
        for rows, columns in _windows():
            windows = (rows @ cropped @ columns.T).astype(np.float32, copy=False)
            best[close] = np.maximum(best[close], (edges * _edges(windows)).sum(1))
    return best


def _windows() -> Iterator[tuple[Singles, Singles]]:
    """Matrices that take a window of an image and enlarge it to the whole: of rows and of columns."""
    for side in SIDES:
        corners = [corner * (1 - side) for corner in CORNERS] if side < 1 else [0.0]
        matrices = [_interpolation(corner, side) for corner in corners]
        for rows in matrices:
            for columns in matrices:
                yield rows, columns


def _interpolation(start: float, length: float) -> Singles:
    """The matrix (SMALL, SMALL) that samples a window linearly; both in shares of the image."""
    places = ((np.arange(SMALL) + 0.5) / SMALL * length + start) * SMALL - 0.5
    places = places.clip(0, SMALL - 1)
    below = np.minimum(places.astype(np.intp), SMALL - 2)
    share = (places - below).astype(np.float32)
    matrix = np.zeros((SMALL, SMALL), np.float32)
    matrix[np.arange(SMALL), below] = 1 - share
    matrix[np.arange(SMALL), below + 1] += share
    return matrix


def _edges(images: Singles) -> Singles:
    """Differences of neighbouring pixels, in both directions, as rows of length 1; 0 for an image without any."""
    inner = images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    across, down = np.diff(inner, axis=2), np.diff(inner, axis=1)
    size = inner.shape[1] * (inner.shape[1] - 1)  # named: there may be no image to count it by
    rows = np.concatenate([across.reshape(-1, size), down.reshape(-1, size)], axis=1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 1e-3, lengths, 1)
    return rows
