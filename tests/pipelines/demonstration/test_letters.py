"""The demo's images: which there are, that they show their letters, and that they are the same in every demo."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from models.errors import UserError
from pipelines.demonstration import letters as module
from pipelines.demonstration.letters import FONTS, GREEK, LATIN, SIDE, draw_letter, list_letters, write_letters
from pipelines.system.progress import Silent


def shape(image: Image.Image) -> np.ndarray:
    """How much each pixel differs from the ground, which is the colour of the corners."""
    pixels = np.asarray(image, np.float64)
    corners = np.median([pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1]], axis=0)
    return np.abs(pixels - corners).sum(2)


def test_there_are_a_hundred_latin_images_and_seventy_greek_ones_of_each_letter() -> None:
    paths = [PurePosixPath(letter.path) for letter in list_letters()]
    assert len(set(paths)) == len(paths) == 26 * 100 + 10 * 70
    counts = Counter(str(path.parent) for path in paths)
    assert {counts[f"latin/{name}"] for name in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} == {100}
    for part, count in (("train", 7), ("validation", 3), ("test", 60)):
        assert {counts[f"greek/{part}/{name}"] for name in GREEK} == {count}


def test_the_new_task_has_no_letter_of_the_base() -> None:
    assert not set(LATIN.values()) & set(GREEK.values())
    assert not {name.casefold() for name in LATIN} & {name.casefold() for name in GREEK}
    for letter in list_letters():
        alphabet = LATIN if letter.path.startswith("latin/") else GREEK
        assert alphabet[PurePosixPath(letter.path).parent.name] == letter.character


def test_no_two_images_of_a_letter_are_drawn_from_the_same_numbers() -> None:
    drawn = [(letter.character, letter.number) for letter in list_letters()]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("name", FONTS)
def test_every_font_has_every_letter(name: str) -> None:
    """A font draws a character that it lacks as a box: the same one for all."""
    font = module._font(name)
    missing = bytes(font.getmask("\ue0ff"))
    assert len({bytes(font.getmask(character)) for character in (*LATIN.values(), *GREEK.values())}) == 36
    assert all(bytes(font.getmask(character)) != missing for character in (*LATIN.values(), *GREEK.values()))


def test_an_image_shows_its_letter() -> None:
    """The average of many images looks most like its own letter, as Pillow prints it upright in the middle."""
    characters = "AILOδλ"
    font = ImageFont.truetype(str(module._font("DejaVuSans").path), 26)
    printed = []
    for character in characters:
        image = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(image).text((SIDE / 2, SIDE / 2), character, font=font, fill=255, anchor="mm")
        printed.append(np.asarray(image, np.float64).ravel())
    for place, character in enumerate(characters):
        drawn = [shape(draw_letter(character, np.random.default_rng(seed))) for seed in range(40)]
        mean = np.mean([image / image.max() for image in drawn], axis=0).ravel()
        assert int(np.argmax([np.corrcoef(mean, other)[0, 1] for other in printed])) == place


def test_images_differ_in_colour_and_either_the_letter_or_the_ground_is_brighter() -> None:
    pixels = [np.asarray(draw_letter("H", np.random.default_rng(seed)), np.float64) for seed in range(30)]
    assert all(image.shape == (SIDE, SIDE, 3) for image in pixels)
    grounds = np.array([image[0].mean(0) for image in pixels])
    assert grounds.std(0).min() > 40
    is_brighter = [image[10:22, 10:22].mean() > image[0].mean() for image in pixels]
    assert 5 < sum(is_brighter) < 25


def test_the_same_images_are_written_again_and_only_where_they_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [letter for letter in list_letters() if letter.number < 2]
    monkeypatch.setattr(module, "list_letters", lambda: iter(few))
    write_letters(tmp_path, Silent())
    content = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in content) == sorted(letter.path for letter in few)
    times = {path: path.stat().st_mtime_ns for path in content}
    damaged, missing = sorted(content)[:2]
    damaged.write_bytes(b"damaged")
    missing.unlink()
    write_letters(tmp_path, Silent())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == content
    assert all(path.stat().st_mtime_ns == times[path] for path in content.keys() - {damaged, missing})
    write_letters(tmp_path / "other", Silent(), seed=1)
    assert all((tmp_path / "other" / letter.path).read_bytes() != content[tmp_path / letter.path] for letter in few)


def test_a_font_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    module._font.cache_clear()
    with pytest.raises(UserError, match=r"DejaVuSans\.ttf"):
        module._font("DejaVuSans")
