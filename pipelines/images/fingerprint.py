"""Reduces an image to 256 bytes that hardly change when it is resized, compressed anew, brightened or cropped a little.

They hold the edges of the image: in 8 x 8 cells, how much it brightens to the right, to the left, downwards and
upwards. The cosine of two of them says how much alike two images are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.arrays import Singles

# (height, width, 3) in [0, 255].
RgbImage: TypeAlias = "NDArray[np.uint8]"
CELLS, SIDE = 8, 32  # cells on each side, of 4 x 4 pixels of the reduced image
LENGTH = CELLS * CELLS * 4
FAINTEST = 0.5  # grey levels between neighbouring pixels: the strongest edges of an image that has none


def fingerprint(pixels: RgbImage, orientation: int = 1) -> bytes:
    """The fingerprint of an image.

    Args:
        pixels: as the file stores them.
        orientation: as EXIF counts them, 1 to 8.

    Returns:
        `LENGTH` bytes; all of them 0 for an image without edges.
    """
    import numpy as np
    from PIL import Image

    # Pillow works outside of Python's lock, and in single precision no grey level is lost.
    grey = Image.fromarray(np.ascontiguousarray(pixels)).convert("L").convert("F")
    reduced = _turned(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)), orientation)
    strengths = np.zeros((SIDE, SIDE, 4), np.float32)
    right = np.diff(reduced, axis=1)[:-1]
    down = np.diff(reduced, axis=0)[:, :-1]
    strengths[:-1, :-1] = np.stack([right, -right, down, -down], axis=-1).clip(0)
    size = SIDE // CELLS
    cells = strengths.reshape(CELLS, size, CELLS, size, 4).mean((1, 3))
    strongest = float(cells.max())
    if strongest < FAINTEST:
        return bytes(LENGTH)
    # The root keeps one strong edge from outweighing all others.
    return np.round(255 * np.sqrt(cells / strongest)).astype(np.uint8).tobytes()


def _turned(image: Singles, orientation: int) -> Singles:
    """Turn a grey image upright, as Pillow's `exif_transpose` does."""
    if orientation in (5, 6, 7, 8):
        image = image.T
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
