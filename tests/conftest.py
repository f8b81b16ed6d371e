"""What every test stands on: a quiet TensorFlow, caches of its own, pictures drawn here, weights linked in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.__main__ import run

# At import, before any module imports TensorFlow: its log level is read once, and no test may touch the user's caches.
_SESSION = tempfile.TemporaryDirectory(prefix="headstart-tests-")
for _variable in [name for name in os.environ if name.startswith("HEADSTART_") and name != "HEADSTART_WRITE_SURFACE"]:
    del os.environ[_variable]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["HEADSTART_CACHE"] = f"{_SESSION.name}/headstart"
os.environ["XDG_CACHE_HOME"] = f"{_SESSION.name}/cache"
os.environ["KERAS_HOME"] = f"{_SESSION.name}/keras"
os.environ["MPLBACKEND"] = "agg"
os.environ["NO_COLOR"] = "1"

SHARED = Path(__file__).resolve().parents[2] / "shared"

# What `image_folder` draws for each class in turn: shape and colour differ, so that a small network can learn them.
_SHAPES = ("ellipse", "rectangle", "triangle", "cross", "ring", "bars")
_COLOURS = ((214, 60, 50), (60, 130, 214), (70, 180, 90), (230, 190, 40), (150, 80, 190), (240, 130, 40))


def pytest_unconfigure() -> None:
    """Remove the session's caches."""
    _SESSION.cleanup()


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output is compared as it looks on 80 columns, whatever terminal runs the tests."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real images and weights that lies beside a checkout; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: real images and pretrained weights are not at hand")
    return SHARED


@pytest.fixture
def keras_home(shared: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KERAS_HOME` with pretrained weights: a folder of its own, because Keras writes `keras.json` into it."""
    weights = shared / "keras_home" / "models"
    if not weights.is_dir():
        pytest.skip(f"no {weights}: pretrained weights are not at hand")
    home = tmp_path_factory.mktemp("keras_home")
    (home / "models").symlink_to(weights)
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


def draw(class_index: int, size: int, rng: np.random.Generator) -> Image.Image:
    """One picture of a class, `size` x `size` RGB: its shape in its colour, somewhere, on a noisy ground."""
    ground = rng.integers(90, 150, size=(size, size, 3), dtype=np.uint8)
    picture = Image.fromarray(ground)
    pen = ImageDraw.Draw(picture)
    side = int(rng.uniform(0.45, 0.7) * size)
    left, top = (int(rng.integers(0, size - side + 1)) for _ in range(2))
    box = (left, top, left + side - 1, top + side - 1)
    middle, colour = left + side // 2, _COLOURS[class_index % len(_COLOURS)]
    match _SHAPES[(class_index + class_index // len(_COLOURS)) % len(_SHAPES)]:
        case "ellipse":
            pen.ellipse(box, fill=colour)
        case "rectangle":
            pen.rectangle(box, fill=colour)
        case "triangle":
            pen.polygon([(middle, box[1]), (box[2], box[3]), (box[0], box[3])], fill=colour)
        case "cross":
            width = max(2, side // 4)
            pen.line((*box[:2], *box[2:]), fill=colour, width=width)
            pen.line((box[0], box[3], box[2], box[1]), fill=colour, width=width)
        case "ring":
            pen.ellipse(box, outline=colour, width=max(2, side // 5))
        case _:
            for offset in range(0, side, max(4, side // 4)):
                pen.rectangle((left + offset, top, left + offset + max(1, side // 8), box[3]), fill=colour)
    return picture


def draw_folders(
    root: Path,
    counts: dict[str, int],
    *,
    classes: tuple[str, ...] = ("circle", "square", "triangle"),
    size: int = 32,
    seed: int = 0,
    suffix: str = ".png",
) -> Path:
    """Draw class folders in each of the parts (`""` for none), so many pictures a class, and return `root`."""
    rng = np.random.default_rng(seed)
    for part, count in counts.items():
        for index, class_name in enumerate(classes):
            folder = root / part / class_name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                draw(index, size, rng).save(folder / f"{class_name}-{number:03d}{suffix}")
    return root


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """A function that draws class folders under `tmp_path` and returns their root.

    `image_folder("data", classes=("circle", "square"), per_class=12, size=32, seed=0, suffix=".png")`; with
    `parts={"train": 8, "validation": 2}` each part gets its own class folders with so many pictures a class.
    """

    def make(
        name: str = "data",
        *,
        classes: tuple[str, ...] = ("circle", "square", "triangle"),
        per_class: int = 12,
        size: int = 32,
        seed: int = 0,
        suffix: str = ".png",
        parts: dict[str, int] | None = None,
    ) -> Path:
        counts = parts or {"": per_class}
        return draw_folders(tmp_path / name, counts, classes=classes, size=size, seed=seed, suffix=suffix)

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def headstart(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`headstart("train", folder, "--out", run)`: run a command line in this process."""

    def command(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(code=code, out=out, err=err)

    return command
