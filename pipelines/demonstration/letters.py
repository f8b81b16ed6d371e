"""Draws the demo's images: printed letters of two alphabets, in the fonts that Matplotlib ships.

Fonts, colours, sizes, tilts and noise are random, so that a few images of a letter say little of how others look.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.runs.examples import Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageFont

    from pipelines.system.progress import Reporter

# Class name -> character. No Greek letter here looks like a capital of the Latin alphabet.
LATIN: Mapping[str, str] = {letter: letter for letter in ascii_uppercase}
GREEK: Mapping[str, str] = {
    "delta": "δ",
    "epsilon": "ε",
    "lambda": "λ",
    "mu": "μ",
    "omega": "ω",
    "phi": "φ",
    "pi": "π",
    "psi": "ψ",
    "theta": "θ",
    "xi": "ξ",
}
LATIN_IMAGES = 100  # of each letter
GREEK_IMAGES: Mapping[Split, int] = {"train": 7, "validation": 3, "test": 60}  # of each letter
# The files of Matplotlib that have both alphabets.
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono",
    "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
)  # fmt: skip
SIDE = 32  # of an image, pixels
DRAWN = 64  # side of the square that a letter is drawn in before it is made smaller
FONT_SIZE = 36
LEAST_CONTRAST = 110.0  # between the brightness of letter and ground, of 255
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFile:
    """An image of the demo.

    Attributes:
        path: relative to the folder of images, such as `greek/train/delta/03.png`.
        character: that it shows.
        number: of the image among all of its letter, from 0.
    """

    path: str
    character: str
    number: int


def list_letters() -> Iterator[LetterFile]:
    """List the images of both alphabets: `latin/A/00.png` and on, `greek/PART/delta/00.png` and on."""
    for name, character in LATIN.items():
        for number in range(LATIN_IMAGES):
            yield LetterFile(path=f"latin/{name}/{number:02}.png", character=character, number=number)
    for name, character in GREEK.items():
        number = 0
        for part, count in GREEK_IMAGES.items():
            for _ in range(count):
                yield LetterFile(path=f"greek/{part}/{name}/{number:02}.png", character=character, number=number)
                number += 1


def write_letters(folder: Path, reporter: Reporter, *, seed: int = 0) -> None:
    """Write the images of both alphabets; a file that is there with the same content is left alone.

    Args:
        folder: of the images; made where it is missing.
        reporter: shows progress.
        seed: of all that is drawn at random.

    Raises:
        UserError: Matplotlib lacks a font.
    """
    import numpy as np

    files = list(list_letters())
    with reporter.task("letters", len(files)) as task:
        for letter in files:
            random = np.random.default_rng((seed, ord(letter.character), letter.number))
            stream, file = BytesIO(), folder / letter.path
            draw_letter(letter.character, random).save(stream, "PNG")
            if not file.exists() or file.read_bytes() != stream.getvalue():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(stream.getvalue())
            task.advance()


def draw_letter(character: str, random: np.random.Generator) -> Image.Image:
    """Draw a letter in a random font, place and colour: (SIDE, SIDE) pixels, RGB.

    Raises:
        UserError: Matplotlib lacks a font.
    """
    import numpy as np
    from PIL import Image

    shape = _moved(_printed(character, FONTS[random.integers(len(FONTS))]), random)
    letter, ground = _colours(random)
    # The ground gets lighter or darker from top to bottom, and everything is a little grainy.
    shade = random.normal(0, 15, 3) * np.linspace(-1, 1, SIDE)[:, None, None]
    grain = random.normal(0, random.uniform(0, 12), (SIDE, SIDE, 1))
    share = np.asarray(shape, np.float64)[..., None] / 255
    pixels = share * letter + (1 - share) * (ground + shade) + grain
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def _printed(character: str, font: str) -> Image.Image:
    """A letter as the font has it, white on black."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (DRAWN, DRAWN))
    ImageDraw.Draw(image).text((DRAWN / 2, DRAWN / 2), character, font=_font(font), fill=255, anchor="mm")
    return image


def _moved(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Bring a letter to a random size, tilt, slant and place, and blur it: (SIDE, SIDE) pixels, grey."""
    import numpy as np
    from PIL import Image, ImageFilter

    box = image.getbbox()
    assert box is not None, "every font has every letter"
    left, top, right, bottom = box
    scale = max(right - left, bottom - top) / (DRAWN * random.uniform(0.68, 0.88))
    angle, slant, stretch = math.radians(random.uniform(-12, 12)), random.uniform(-0.2, 0.2), random.uniform(0.85, 1.18)
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # From a place in the result to one in the letter as it was printed.
    matrix = scale * turned @ np.array([[stretch, slant], [0, 1 / stretch]])
    middle = DRAWN / 2 + random.uniform(-0.05, 0.05, 2) * DRAWN
    start = np.array([(left + right) / 2, (top + bottom) / 2]) - matrix @ middle
    coefficients = (*matrix[0], start[0], *matrix[1], start[1])
    moved = image.transform((DRAWN, DRAWN), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    blurred = moved.filter(ImageFilter.GaussianBlur(random.uniform(0, 1.2)))
    return blurred.resize((SIDE, SIDE), Image.Resampling.BOX)


def _colours(random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The colours (3,) of a letter and of its ground, in [0, 255]; either may be the brighter one."""
    import numpy as np

    while True:
        letter, ground = random.uniform(0, 255, (2, 3))
        if abs(float(np.dot(letter - ground, BRIGHTNESS))) >= LEAST_CONTRAST:
            return letter, ground


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    if not file.is_file():
        raise UserError(f"Matplotlib lacks a font of its own: `{file}`", "install Matplotlib again")
    return ImageFont.truetype(str(file), FONT_SIZE)
