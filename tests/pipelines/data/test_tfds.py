"""TensorFlow datasets: once copied, as quick as a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.data.scan import scan
from tests.pipelines.data.tfds_sets import assert_refused

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("tfds_cache")]  # the warnings are TFDS' own


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
    assert_refused(name, words)


def test_a_set_with_one_part_is_divided_by_content(tfds_cache: Path) -> None:
    scan("tfds:headstart_pictures")
    done = tfds_cache / "tfds" / "headstart_pictures" / "1.2.3" / "complete.json"
    facts = json.loads(done.read_text())
    done.write_text(json.dumps(facts | {"parts": ["train", "unsupervised"]}))
    listing = scan("tfds:headstart_pictures")
    assert {file.split for file in listing.files} == {None}
    assert any("unsupervised" in line for line in listing.remarks)
