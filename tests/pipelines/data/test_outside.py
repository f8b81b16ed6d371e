"""Nothing is written into the user's folder of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.outside import require_outside


@pytest.mark.parametrize("out", ["photos", "photos/run", "photos/cat/deep/run", "other/../photos/run", "link/run"])
def test_a_run_inside_the_images_is_refused(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("photos")
    with pytest.raises(UserError) as caught:
        require_outside("photos", out)
    assert f"`{out}`" in caught.value.message and "`photos`" in caught.value.message
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("out", ["photos-1", "runs/photos", "..", "photos/../run"])
def test_beside_and_above_the_images_is_outside(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    require_outside("photos", out)


def test_a_run_may_lie_beside_a_list_of_images(tmp_path: Path) -> None:
    (tmp_path / "list.csv").touch()
    require_outside(str(tmp_path / "list.csv"), str(tmp_path / "run"))
    require_outside("tfds:mnist", str(tmp_path))
