"""What is measured of a file agrees with numpy and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.audit.traits import Light, take_traits
from tests.pipelines.audit.made import photo
from tests.pipelines.pictures import drawn, exif, saved


def light_of(content: bytes) -> Light:
    light = take_traits(content).light
    assert light is not None
    return light


def test_light_agrees_with_numpy() -> None:
    image = photo(1)
    light = light_of(saved(image, "PNG"))
    grey = np.asarray(image.convert("L"), np.float64)
    assert light.darkest == pytest.approx(np.percentile(grey, 5), abs=0.01)
    assert light.lightest == pytest.approx(np.percentile(grey, 95), abs=0.01)
    assert light.deviation == pytest.approx(grey.std(), rel=1e-4)
    assert light.mean == pytest.approx(np.asarray(image, np.float64).mean((0, 1)), rel=1e-4)


def test_the_border_is_the_frame_alone() -> None:
    image = Image.new("RGB", (100, 100), (10, 20, 30))
    image.paste((250, 0, 0), (5, 5, 95, 95))
    assert light_of(saved(image, "PNG")).border == pytest.approx((10, 20, 30))


def test_sharpness_falls_with_blur() -> None:
    image = drawn(256, 256, seed=2)
    values = [
        light_of(saved(image.filter(ImageFilter.GaussianBlur(radius)), "PNG")).sharpness for radius in (0, 1, 2, 4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[-1]


def test_an_image_of_one_colour_has_no_sharpness() -> None:
    assert light_of(saved(Image.new("RGB", (50, 50), (128, 128, 128)), "PNG")).sharpness == 0
    assert light_of(saved(Image.new("RGB", (1, 2)), "PNG")).deviation == 0


def test_a_better_jpeg_has_finer_steps() -> None:
    steps = [take_traits(saved(photo(3), "JPEG", quality=quality)).quantisation[0] for quality in (30, 60, 90)]
    assert steps == sorted(steps, reverse=True)
    assert take_traits(saved(photo(3), "PNG")).quantisation == (0, 0)


def test_how_a_jpeg_was_encoded_is_read() -> None:
    plain, progressive = saved(photo(4), "JPEG"), saved(photo(4), "JPEG", progressive=True)
    fine = saved(photo(4), "JPEG", subsampling=0)
    assert len({take_traits(content).encoding for content in (plain, progressive, fine)}) == 3


def test_the_camera_and_the_orientation_are_read() -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112] = "Canon", "EOS 5D", 6
    traits = take_traits(saved(photo(5, 64), "JPEG", exif=tags.tobytes()))
    assert (traits.camera, traits.orientation) == ("Canon EOS 5D", 6)
    assert take_traits(saved(photo(5, 64), "JPEG", exif=b"Exif\0\0" + exif(3))).orientation == 3
    assert take_traits(saved(photo(5, 64), "JPEG", exif=b"Exif\0\0 nonsense")).camera == ""


def test_sizes_are_those_of_the_file() -> None:
    content = saved(photo(6).resize((300, 20)), "JPEG")
    traits = take_traits(content)
    assert (traits.num_bytes, traits.width, traits.height) == (len(content), 300, 20)
