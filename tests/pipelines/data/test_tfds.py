"""TensorFlow datasets: once copied, as quick as a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.scan import scan

pytestmark = pytest.mark.filterwarnings("ignore")  # TFDS' own


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "cache"


def test_a_copy_is_listed_without_tensorflow() -> None:
    scan("tfds:headstart_pictures")
    code = (
        "import sys; from pipelines.data.scan import scan; assert len(scan('tfds:headstart_pictures').files) == 17; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tfds:", "does not name"),
        ("tfds:../../etc", "does not name"),
        ("tfds:a:b", "does not name"),
    ],
)
def test_what_names_no_set_is_refused(name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        scan(name)
    assert words in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_set_with_one_part_is_divided_by_content(cache: Path) -> None:
    scan("tfds:headstart_pictures")
    done = cache / "tfds" / "headstart_pictures" / "1.2.3" / "complete.json"
    facts = json.loads(done.read_text())
    done.write_text(json.dumps(facts | {"parts": ["train", "unsupervised"]}))
    listing = scan("tfds:headstart_pictures")
    assert {file.split for file in listing.files} == {None}
    assert any("unsupervised" in line for line in listing.remarks)
