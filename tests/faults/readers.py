"""Every file that headstart reads: how a whole one is made, and how it is read."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import keras
import numpy as np
from hypothesis.strategies import SearchStrategy

from pipelines.data.dataset_file import read_dataset, write_dataset
from pipelines.data.known_images import DecodeResult, open_known_images
from pipelines.data.scan import scan
from pipelines.data.tfds_files import DESCRIPTION, Description
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.features.frozen_base import FrozenBase
from pipelines.features.remembered_engines import RememberedEngines
from pipelines.features.shards import ShardStore, write_shard
from pipelines.fitting.step import StepState
from pipelines.images.policy_file import read_policy
from pipelines.members.hyperparameters import SharedHyperparameters
from pipelines.members.spec import list_members
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.folder import open_run
from pipelines.runs.manifest import ChosenHead, RunRequest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest, write_manifest
from pipelines.runs.split_file import read_split
from pipelines.system.cache import cache_folder
from pipelines.system.cache_contents import cache_usage
from pipelines.system.files import write_json
from tests.faults.damage import damaged_archive, damaged_bytes, damaged_json
from tests.pipelines.features.drawn import KEY, tiny_base
from tests.pipelines.features.test_old_shards import KEYS, ROWS, old_shard
from tests.pipelines.features.test_remembered_engines import CHOICE
from tests.pipelines.fitting.test_checkpoint import earlier_progress, small_checkpoint
from tests.pipelines.members.test_hyperparameters import LABELS, plan_of, spec_of
from tests.specs import train_spec

OLD = Path(__file__).resolve().parents[1] / "pipelines" / "runs" / "schema_1"
REQUEST = RunRequest(train=train_spec(data="photos", out="run", backbone="small_cnn", weights="none"))
EXAMPLE = Example(path="/p/1.png", label=1, split="train", sha256="ab" * 32, source="/p/1.png")
DATASET = Dataset(root="/p", origin="folders", class_names=("a", "b"), examples=(EXAMPLE,))
POLICY = b'views = 6\nmixup = 0.2\n[[step]]\nlayer = "RandomRotation"\nfactor = 0.05\nprobability = 0.5\n'
Damage = Callable[[bytes], SearchStrategy[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One kind of file.

    Attributes:
        make: writes a whole file, with what belongs to it, below a folder, and returns its path.
        read: reads it as headstart does, and uses what it read.
        damages: ways to damage it.
        finish: puts a damaged content at the path, or where its name has to be.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    damages: tuple[Damage, ...] = (damaged_bytes,)
    finish: Callable[[Path, bytes], object] = Path.write_bytes


def _old_run(kind: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        shutil.copytree(OLD / "runs" / kind, folder / "run")
        return folder / "run" / name

    return make


def _run(folder: Path) -> Path:
    """A run in the layout of today."""
    path = _old_run("head", "run.json")(folder)
    write_manifest(path.parent, read_manifest(path.parent))
    return path


def _request(folder: Path) -> Path:
    open_run(folder / "run", REQUEST, force=False)
    return folder / "run" / "state" / "spec.json"


def _old_request(folder: Path) -> Path:
    shutil.copytree(OLD / "interrupted", folder / "run")
    return folder / "run" / "state" / "spec.json"


def _checkpoint(folder: Path) -> Path:
    model, checkpoint = small_checkpoint(folder)
    checkpoint.save(earlier_progress(), [np.asarray(weight) for weight in model.get_weights()])
    return checkpoint.path


def _resume(path: Path) -> None:
    progress, _ = small_checkpoint(path.parent)[1].load()
    assert isinstance(progress.step_state, StepState)


def _dataset(folder: Path) -> Path:
    write_dataset(folder / "dataset.json", DATASET)
    return folder / "dataset.json"


SPEC = spec_of(boost=True, heads=("linear",))
FIRST, SECOND, *_ = list_members(SPEC)


def _shared(folder: Path) -> SharedHyperparameters:
    return SharedHyperparameters(spec=SPEC, state=folder)


def _held_out(folder: Path) -> Path:
    _shared(folder).keep_held_out(FIRST, np.array([0, 1, 0, 0], np.int32))
    (path,) = folder.glob("*.npy")
    return path


def _options(folder: Path) -> Path:
    path = folder / "options-vgg16-linear.json"
    write_json(path, asdict(ChosenHead(l2=0.03, learning_rate=0.001, dropout=0.5, seed=0)))
    return path


def _description(folder: Path) -> Path:
    description = Description(class_names=["a", "b"], parts=["train"], remarks=[], prepared="/tfds")
    (folder / DESCRIPTION).write_bytes(description.to_json())
    return folder / DESCRIPTION


def _engines(folder: Path) -> Path:
    RememberedEngines(file=folder / "engines.json").write("auto", CHOICE)
    return folder / "engines.json"


def _recall(path: Path) -> None:
    memory = RememberedEngines(file=path)
    memory.read("auto", 10)
    assert memory.write("auto", CHOICE) == ""
    assert memory.read("auto", 10) == (CHOICE, "")


def _base(folder: Path) -> Path:
    KEY.folder.mkdir(parents=True)
    write_json(KEY.folder / "base.json", {**asdict(KEY), "num_features": 3})
    return KEY.folder / "base.json"


def _describe(path: Path) -> None:
    FrozenBase(key=KEY, build=tiny_base, engine="keras").num_features()
    cache_usage()


def _shard(folder: Path) -> Path:
    write_shard(folder / "more", KEYS[:1], ROWS[:1])
    return write_shard(folder, KEYS, ROWS)


def _rename(path: Path, content: bytes) -> None:
    """A shard's name ends with the checksum of its content."""
    path.unlink(missing_ok=True)
    (path.parent / f"1-1-{zlib.crc32(content):08x}.npy").write_bytes(content)


def _features(path: Path) -> None:
    store = ShardStore(path.parent)
    for wanted in KEYS:
        if wanted in store:
            assert store.row(wanted).shape == (store.row_length,)
    store.release()
    ShardStore(path.parent / "empty", 5).add(KEYS, ROWS)


def _old_shard(folder: Path) -> Path:
    (folder / "1-2.shard").write_bytes(old_shard())
    return folder / "1-2.shard"


RESULT = DecodeResult(sha256="ab" * 32, reason="cut short", transcoded=False)


def _known(folder: Path) -> Path:
    with open_known_images("decoder") as known_images:
        known_images.add([RESULT, DecodeResult(sha256="cd" * 32, reason=None, transcoded=True)])
    return cache_folder() / "ledger.sqlite"


def _ask(path: Path) -> None:
    with open_known_images("decoder") as known_images:
        known_images.get("ab" * 32)
        known_images.add([RESULT])
        if known_images.get("ab" * 32) is None:  # damage that was only found now: it is made anew
            known_images.add([RESULT])
        assert known_images.get("ab" * 32) == RESULT


def _table(folder: Path) -> Path:
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    return _text("data.csv", b"path,label\na.png,cat\nb.png,dog\n")(folder)


def _text(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


JSON: tuple[Damage, ...] = (damaged_bytes, damaged_json, damaged_json)
READERS: dict[str, Reader] = {
    "run.json": Reader(make=_run, read=lambda path: read_manifest(path.parent), damages=JSON),
    "run.json of schema 1": Reader(
        make=_old_run("members", "run.json"), read=lambda path: read_manifest(path.parent), damages=JSON
    ),
    "split.csv": Reader(
        make=_old_run("head", "split.csv"), read=lambda path: read_split(path.parent, ("cross", "disc", "stripes"))
    ),
    "answers.npz": Reader(
        make=_old_run("head", "answers.npz"),
        read=lambda path: [read_predictions(path.parent, part) for part in ("validation", "test")],
        damages=(damaged_bytes, damaged_archive),
    ),
    "model.keras": Reader(
        make=_old_run("head", "model.keras"),
        read=lambda path: load_run(path.parent),
        damages=(damaged_bytes, damaged_archive, damaged_archive),
    ),
    "spec.json": Reader(make=_request, read=lambda path: open_run(path.parents[1], REQUEST, force=False), damages=JSON),
    "spec.json of schema 1": Reader(
        make=_old_request, read=lambda path: open_run(path.parents[1], REQUEST, force=False), damages=JSON
    ),
    "a checkpoint": Reader(make=_checkpoint, read=_resume, damages=(damaged_bytes, damaged_archive)),
    "dataset.json": Reader(make=_dataset, read=read_dataset, damages=JSON),
    "held-out classes": Reader(
        make=_held_out, read=lambda path: _shared(path.parent).image_weights(SECOND, cast("np.ndarray", LABELS))
    ),
    "a member's hyperparameters": Reader(
        make=_options,
        read=lambda path: _shared(path.parent).candidates(SECOND, plan_of(SPEC, "linear"), 4),
        damages=JSON,
    ),
    "complete.json": Reader(make=_description, read=lambda path: Description.of_copy(path.parent), damages=JSON),
    "chosen-engines.json": Reader(make=_engines, read=_recall, damages=JSON),
    "base.json": Reader(make=_base, read=_describe, damages=JSON),
    "a shard": Reader(make=_shard, read=_features, finish=_rename),
    "an old shard": Reader(make=_old_shard, read=_features),
    "ledger.sqlite": Reader(make=_known, read=_ask),
    "a policy": Reader(make=_text("policy.toml", POLICY), read=read_policy),
    "a CSV file": Reader(make=_table, read=lambda path: scan(str(path))),
}
assert keras  # Keras is imported before a test counts what is opened
