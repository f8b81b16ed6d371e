"""An interrupted training whose images changed in the meantime says what changed, and does not resume on others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.layout import is_run
from pipelines.train import train
from tests.pipelines.killed import train_until
from tests.specs import train_spec

Draw = Callable[..., Path]


@pytest.mark.slow
def test_a_training_does_not_resume_on_other_images(image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("photos", per_class=8, seed=12)
    spec = train_spec(
        data=str(data), out=str(tmp_path / "run"), backbone="small_cnn", weights="none", epochs=2, batch=8, seed=3
    )
    train_until("from scratch epoch 1/2", spec)
    image, new_class = sorted(data.glob("circle/*"))[0], data / "star"
    content = image.read_bytes()

    def add_class() -> None:
        shutil.copytree(image_folder("others", classes=("star",), per_class=6, seed=9) / "star", new_class)

    changes: list[tuple[Callable[[], object], str]] = [
        (
            lambda: image.write_bytes(sorted(data.glob("square/*"))[0].read_bytes() + b" "),
            "1 image added, 1 image removed",
        ),
        (image.unlink, "1 image removed or changed"),
        (
            lambda: shutil.copy(
                image_folder("more", per_class=1, seed=77) / "circle/circle-000.png", data / "circle/x.png"
            ),
            "1 image added",
        ),
        (add_class, "6 images added, new class `star`"),
    ]
    for change, words in changes:
        change()
        with pytest.raises(UserError, match=words) as caught:
            train(spec)
        assert caught.value.message.startswith(f"the data changed since the training in `{tmp_path / 'run'}` began")
        assert not is_run(tmp_path / "run")
        # Restored, as the hint says.
        image.write_bytes(content)
        (data / "circle/x.png").unlink(missing_ok=True)
        shutil.rmtree(new_class, ignore_errors=True)
    train(spec)
    assert is_run(tmp_path / "run")
