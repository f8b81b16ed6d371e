"""Which folders a training may use, and what it leaves in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.examples import Dataset, Example, Skipped
from pipelines.runs.folder import finish_run, open_run, sweep_run, write_split
from pipelines.runs.layout import FORCED_FILE, MODEL_FILE, SPEC_FILE, STATE_FOLDER, is_run
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.split_file import read_split
from pipelines.system.cache import transcoded_file
from pipelines.system.lock import LOCK_FILE
from tests.pipelines.manifests import manifest_with, stage_with
from tests.specs import train_spec, with_options

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = manifest_with(stages=(stage_with(),), notes=("a note",))
REQUEST = RunRequest(train=train_spec(data="photos", seed=1))
NEW_MANIFEST = manifest_with(stages=(stage_with(),), notes=("another note",))
OTHER_REQUEST = RunRequest(train=train_spec(data="photos", seed=2))


def _finished(folder: Path) -> Path:
    open_run(folder, REQUEST, force=False)
    _complete(folder, MANIFEST)
    return folder


def _complete(place: Path, manifest: Manifest) -> None:
    (place / MODEL_FILE).write_bytes(b"a model")
    finish_run(place, manifest)


def _interrupted(folder: Path, request: object) -> Path:
    """A run whose training was interrupted, with `request` in its state as plain data."""
    (folder / STATE_FOLDER).mkdir(parents=True)
    (folder / STATE_FOLDER / SPEC_FILE).write_text(json.dumps(request))
    return folder


def test_a_run_whose_page_is_being_drawn_is_not_complete_yet(tmp_path: Path) -> None:
    run = tmp_path / "run"
    open_run(run, REQUEST, force=False)

    def killed(folder: Path, manifest: Manifest) -> None:
        assert (folder, manifest) == (run, MANIFEST)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish_run(run, MANIFEST, draw=killed)
    assert not is_run(run)
    assert open_run(run, REQUEST, force=False) == (run, True)
    drawn: list[bool] = []
    finish_run(run, MANIFEST, draw=lambda folder, _: drawn.append(is_run(folder)))
    assert drawn == [False] and is_run(run)


def test_the_same_request_resumes_and_another_does_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert open_run(run, REQUEST, force=False) == (run, False)
    assert open_run(run, REQUEST, force=False) == (run, True)
    with pytest.raises(UserError, match="other options"):
        open_run(run, OTHER_REQUEST, force=False)
    assert open_run(run, OTHER_REQUEST, force=True) == (run, False)


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest(train=train_spec(data="caf\udce9", learning_rate=0.1, fine_tune="2")),
        RunRequest(members=MembersSpec(common=train_spec(), backbones=("vgg16", "resnet50"), heads=("mlp",), folds=3)),
        RunRequest(ensemble=EnsembleSpec(runs=("a", "b"), out="ab", max_size=5.0)),
    ],
    ids=["train", "members", "ensemble"],
)
def test_every_kind_of_request_resumes(request_: RunRequest, tmp_path: Path) -> None:
    open_run(tmp_path / "run", request_, force=False)
    assert open_run(tmp_path / "run", request_, force=False) == (tmp_path / "run", True)


@pytest.mark.parametrize("request_", [{"train": {"out": "run"}}, {"common": 1}, {"data": 5, "out": "run"}])
def test_a_request_that_cannot_be_read_is_not_the_same(request_: object, tmp_path: Path) -> None:
    run = _interrupted(tmp_path / "run", request_)
    with pytest.raises(UserError, match="other options"):
        open_run(run, REQUEST, force=False)
    assert open_run(run, REQUEST, force=True) == (run, False)


@pytest.mark.parametrize("content", [b"[]", b"{}", b'"train"', b"null", b'{"theirs": 1}', b"\xff{"])
@pytest.mark.parametrize("force", [False, True])
def test_a_state_without_a_request_is_someone_elses(content: bytes, force: bool, tmp_path: Path) -> None:
    run = _interrupted(tmp_path / "run", None)
    (run / STATE_FOLDER / SPEC_FILE).write_bytes(content)
    with pytest.raises(UserError, match="is not a headstart run"):
        open_run(run, REQUEST, force=force)
    assert [path.relative_to(run) for path in run.rglob("*")] == [Path("state"), Path("state/spec.json")]


def test_a_training_that_schema_1_began_resumes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(Path(__file__).parent / "schema_1" / "interrupted", run)
    spec = train_spec(
        data="labels.csv", out="run", backbone="lenet5", weights="none", layerwise=True, epochs=8, batch=2, seed=3
    )
    with pytest.raises(UserError, match="other options"):
        open_run(run, RunRequest(train=with_options(spec, seed=4)), force=False)
    assert open_run(run, RunRequest(train=spec), force=False) == (run, True)


def test_a_file_is_not_a_folder_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    for force in (False, True):
        with pytest.raises(UserError, match="is a file, not a folder"):
            open_run(tmp_path / "run", REQUEST, force=force)


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"`.*photo\.jpg` is a file, not a folder"):
        open_run(tmp_path / "photo.jpg" / "deep" / "run", REQUEST, force=False)
    with pytest.raises(UserError, match="--out is empty"):
        open_run("", REQUEST, force=False)


def test_a_complete_run_is_replaced_only_by_force(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    with pytest.raises(UserError, match="complete run"):
        open_run(run, REQUEST, force=False)
    place, is_resumed = open_run(run, REQUEST, force=True)
    assert (place.parent, place == run, is_resumed) == (tmp_path, False, False)
    assert read_manifest(run) == MANIFEST  # whole until the new one is complete
    _complete(place, NEW_MANIFEST)
    assert read_manifest(run) == NEW_MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_other_files_is_left_as_it_is(force: bool, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="not empty and is not a headstart run"):
        open_run(tmp_path, REQUEST, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("foreign", ["src/main.py", "notes.txt", "members/vgg16/thesis.tex", "backbones/photo.jpg"])
def test_force_deletes_nothing_where_something_else_lies(foreign: str, tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    (run / foreign).parent.mkdir(parents=True, exist_ok=True)
    (run / foreign).write_text("mine")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as raised:
        open_run(run, REQUEST, force=True)
    assert f"did not write: `{'src' if foreign.startswith('src') else foreign}`" in raised.value.message
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    run = _finished(tmp_path / "disk" / "run")
    (tmp_path / "run").symlink_to(run)
    place, _ = open_run(tmp_path / "run", OTHER_REQUEST, force=True)
    _complete(place, NEW_MANIFEST)
    assert (tmp_path / "run").is_symlink()
    assert read_manifest(run) == NEW_MANIFEST
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["run"]


def test_an_interrupted_replacement_resumes_beside_the_whole_run(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    place, _ = open_run(run, OTHER_REQUEST, force=True)
    (place / STATE_FOLDER / "head.npz").write_bytes(b"epoch 7")
    assert open_run(run, OTHER_REQUEST, force=True) == (place, True)
    assert (place / STATE_FOLDER / "head.npz").read_bytes() == b"epoch 7"
    with pytest.raises(UserError, match="holds a complete run"):
        open_run(run, OTHER_REQUEST, force=False)
    assert read_manifest(run) == MANIFEST
    # Other options begin anew, and still nothing is lost.
    assert open_run(run, REQUEST, force=True) == (place, False)
    assert sorted(path.name for path in (place / STATE_FOLDER).iterdir()) == [FORCED_FILE, SPEC_FILE]
    assert read_manifest(run) == MANIFEST


def test_the_same_command_with_force_resumes_what_it_began(tmp_path: Path) -> None:
    assert open_run(tmp_path / "run", REQUEST, force=True) == (tmp_path / "run", False)
    assert open_run(tmp_path / "run", REQUEST, force=True) == (tmp_path / "run", True)


def test_force_added_to_the_command_of_an_interrupted_training_begins_anew(tmp_path: Path) -> None:
    run, _ = open_run(tmp_path / "run", REQUEST, force=False)
    (run / STATE_FOLDER / "head.npz").write_bytes(b"epoch 7")
    (run / "history.csv").write_text("epoch 7")
    assert open_run(run, REQUEST, force=True) == (run, False)
    assert sorted(path.name for path in run.rglob("*") if path.is_file()) == [LOCK_FILE, FORCED_FILE, SPEC_FILE]
    # From then on it is a training with --force, which the same command resumes, with or without it.
    assert open_run(run, REQUEST, force=True) == (run, True)
    assert open_run(run, REQUEST, force=False) == (run, True)


def test_a_folder_that_a_file_manager_looked_at_is_still_new(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".DS_Store").write_bytes(b"view")
    assert open_run(tmp_path / "run", REQUEST, force=False) == (tmp_path / "run", False)


def test_what_a_killed_training_was_writing_is_swept(tmp_path: Path) -> None:
    run, _ = open_run(tmp_path / "run", REQUEST, force=False)
    (run / "backbones").mkdir()
    left = [
        ".run.json.x8_f2k1a",
        ".model.keras.abcd1234.keras",
        "state/.spec.json.abcd1234",
        "state/.head.npz.abcd1234",
    ]
    left.append("backbones/.vgg16.keras.abcd1234.keras")
    for name in left:
        (run / name).write_bytes(b"half")
    (run / ".mine.txt").write_text("mine")
    assert open_run(run, REQUEST, force=False) == (run, True)
    assert sorted(path.name for path in run.rglob("*") if path.is_file()) == [LOCK_FILE, ".mine.txt", SPEC_FILE]


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with another_process_in(run) as first:
        for force in (False, True):
            with pytest.raises(UserError, match=rf"is in use: process {first.pid} on .*, since \d{{4}}-"):
                open_run(run, REQUEST, force=force)
        first.kill()
        first.wait()
        assert open_run(run, REQUEST, force=False) == (run, True)


def test_a_second_replacement_is_refused_too(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    with (
        another_process_in(run, force=True) as first,
        pytest.raises(UserError, match=f"is in use: process {first.pid} on "),
    ):
        open_run(run, OTHER_REQUEST, force=True)
    assert read_manifest(run) == MANIFEST


@contextmanager
def another_process_in(run: Path, *, force: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that has begun a training and holds its folder."""
    script = (
        "import sys\n"
        "from pipelines.runs.folder import open_run\n"
        "from tests.pipelines.runs.test_folder import REQUEST\n"
        f"open_run(sys.argv[1], REQUEST, force={force})\n"
        "print('begun', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "unmounted")
    with pytest.raises(UserError, match="link to a folder that does not exist"):
        open_run(tmp_path / "run", REQUEST, force=False)


@pytest.mark.parametrize("left", ["state", "state/.spec.json.x1", ".state.4711", ".state.4711/spec.json"])
def test_a_kill_before_the_request_was_written_is_a_new_run(left: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / left).parent.mkdir(parents=True)
    if left.endswith(("state", ".4711")):
        (run / left).mkdir()
    else:
        (run / left).write_text("{}")
    assert open_run(run, REQUEST, force=False) == (run, False)
    assert open_run(run, REQUEST, force=False) == (run, True)
    assert sorted(path.name for path in run.iterdir()) == [LOCK_FILE, STATE_FOLDER]


def test_a_kill_while_a_run_begins_leaves_what_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_json", "Path.rename"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"pipelines.runs.folder.{step}", killed)
            open_run(tmp_path / "run", REQUEST, force=False)
        assert list((tmp_path / "run").iterdir())
    assert open_run(tmp_path / "run", REQUEST, force=False) == (tmp_path / "run", False)


def test_a_split_keeps_every_name(tmp_path: Path) -> None:
    names = ("/p/new\nline.jpg", '/p/comma,quote".jpg', "/p/not-utf8-\udcff.jpg")
    examples = tuple(
        Example(path=name, label=number % 2, split="train", sha256=f"{number:064}", source=name)
        for number, name in enumerate(names)
    )
    dataset = Dataset(
        root="/p",
        origin="folders",
        class_names=("cat", "dog"),
        examples=examples,
        skipped=(Skipped(path="/p/broken.jpg", reason="cut short"),),
    )
    write_split(tmp_path, dataset)
    assert read_split(tmp_path, dataset.class_names) == examples
    assert (tmp_path / "skipped.csv").read_text() == "path,reason\n/p/broken.jpg,cut short\n"


def test_a_split_without_skipped_images_leaves_no_list_of_them(tmp_path: Path) -> None:
    write_split(tmp_path, Dataset(root="/p", origin="folders", class_names=("cat",), examples=()))
    assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]


def test_an_image_that_was_transcoded_is_decoded_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    sha256 = "ab" * 32
    png = transcoded_file(sha256)
    png.parent.mkdir(parents=True, exist_ok=True)
    png.touch()
    example = Example(path="/p/scan.tiff", label=0, split="test", sha256=sha256, source=str(png))
    dataset = Dataset(root="/p", origin="folders", class_names=("cat",), examples=(example,))
    write_split(tmp_path, dataset)
    assert read_split(tmp_path, ("cat",)) == (example,)


def test_a_finished_run_has_no_state(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    assert is_run(run)
    assert sorted(path.name for path in run.iterdir()) == ["model.keras", "run.json"]


def test_a_process_that_was_killed_at_the_very_end_leaves_a_run_that_is_swept(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    whole = sorted(run.iterdir())
    _interrupted(run, asdict(REQUEST))
    (run / LOCK_FILE).write_text("process 1 on elsewhere")
    (run / ".run.json.abcdefgh").write_text("{")
    sweep_run(run)
    assert sorted(run.iterdir()) == whole
    # Someone else's folder of that name stays.
    (run / STATE_FOLDER).mkdir()
    (run / STATE_FOLDER / "notes.txt").write_text("mine")
    sweep_run(run)
    assert (run / STATE_FOLDER / "notes.txt").read_text() == "mine"
