"""TensorFlow datasets: copied out once, encoded as they are; afterwards as quick as a folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.data import tfds_copy
from pipelines.data.check import check
from pipelines.data.scan import scan
from pipelines.system.cache import write_cache_file
from tests.pipelines.pictures import drawn, saved

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow_datasets as tfds

PARTS = {"train": 12, "test": 6}
LABELS = ["item10", "item2"]

pytestmark = pytest.mark.filterwarnings("ignore")  # TFDS' own


def picture(part: str, number: int) -> bytes:
    return saved(drawn(40, 30, seed=100 * len(part) + number), "JPEG" if number % 2 else "PNG")


class HeadstartPictures(tfds.core.GeneratorBasedBuilder):
    """A small set of labelled pictures."""

    VERSION = tfds.core.Version("1.2.3")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=LABELS)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: object) -> dict[str, object]:
        return {part: self._generate_examples(part, count) for part, count in PARTS.items()}

    def _generate_examples(self, part: str = "", count: int = 0) -> object:
        import io

        for number in range(count):
            # The last of the test part has no label, as in sets whose test labels are kept secret.
            label = -1 if (part, number) == ("test", count - 1) else number % 2
            yield number, {"image": io.BytesIO(picture(part, number)), "label": label}


class HeadstartNumbers(tfds.core.GeneratorBasedBuilder):
    """No pictures."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"value": tfds.features.Scalar(np.int64)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: object) -> dict[str, object]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> object:
        yield 0, {"value": 1}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "cache"


def contents(cache: Path, part: str) -> list[str]:
    folder = cache / "tfds" / "headstart_pictures" / "1.2.3" / part
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.img"))


def hashes(part: str, count: int) -> list[str]:
    return sorted(hashlib.sha256(picture(part, number)).hexdigest() for number in range(count))


def test_images_are_copied_as_they_are_and_labels_follow_the_natural_order(
    cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listing = scan("tfds:headstart_pictures")
    assert capfd.readouterr().out == ""
    assert listing.origin == "tfds"
    assert listing.class_names == ("item2", "item10")
    assert contents(cache, "train") == hashes("train", 12)
    assert contents(cache, "test") == hashes("test", 5)
    assert [file.split for file in listing.files] == ["train"] * 12 + ["test"] * 5
    assert any("1 image without a label" in line for line in listing.remarks)
    expected = {hashlib.sha256(picture("train", number)).hexdigest(): LABELS[number % 2] for number in range(12)}
    for file in listing.files[:12]:
        assert listing.class_names[file.label] == expected[hashlib.sha256(Path(file.path).read_bytes()).hexdigest()]
    dataset = check(listing)
    assert dataset.skipped == ()
    assert dataset.part("validation")  # carved out of train
    assert scan("tfds:headstart_pictures:1.2.3").files == listing.files


def test_a_copy_is_listed_without_tensorflow() -> None:
    scan("tfds:headstart_pictures")
    code = (
        "import sys; from pipelines.data.scan import scan; assert len(scan('tfds:headstart_pictures').files) == 17; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_an_interrupted_copy_is_taken_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def stop(path: Path, content: bytes) -> None:
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path)
        write_cache_file(path, content)

    monkeypatch.setattr(tfds_copy, "write_cache_file", stop)
    with pytest.raises(KeyboardInterrupt):
        scan("tfds:headstart_pictures")
    assert len(contents(cache, "train")) == 7

    again: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        again.append(path)
        write_cache_file(path, content)

    monkeypatch.setattr(tfds_copy, "write_cache_file", count)
    scan("tfds:headstart_pictures")
    assert contents(cache, "train") == hashes("train", 12)
    assert not set(again) & set(written)
    assert again[-1].name == "complete.json"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tfds:headstart_numbers", "is not a set of labelled images"),
        ("tfds:no_such_dataset_at_all", "unknown TensorFlow dataset"),
        ("tfds:headstart_pictures:9.9.9", "headstart_pictures:9.9.9`"),
        ("tfds:", "does not name"),
        ("tfds:../../etc", "does not name"),
        ("tfds:a:b", "does not name"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, words: str) -> None:
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
