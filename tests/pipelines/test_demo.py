"""The demo draws its images, asks for two trainings on the same ones, and replaces only what is its own."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from PIL import Image

from models.errors import UserError
from pipelines import demo as module
from pipelines.demo import demo
from pipelines.demonstration import letters
from pipelines.demonstration.folder import OLD_RUNS, PICTURE, RUNS
from pipelines.demonstration.letters import GREEK, LetterFile, list_letters
from pipelines.demonstration.picture import Outcome, draw_demo, first_test_images
from pipelines.runs.report import Comparison
from pipelines.runs.spec import TrainSpec
from pipelines.system.progress import Silent
from tests.app.test_main import Headstart

ALL_LETTERS = tuple(list_letters())
FEW_LETTERS = tuple(letter for letter in ALL_LETTERS if letter.number in (0, 7, 10))


class Asked(NamedTuple):
    """A training that the demo asks for."""

    spec: TrainSpec
    force: bool


class Lines(Silent):
    """A reporter that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def make_run(folder: Path) -> None:
    """Write what proves a run, and nothing else of it."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"class_names": [], "backbone": {}, "spec": {}}))


def sample_comparison() -> Comparison:
    return Comparison(
        score="accuracy",
        first="greek",
        second="greek-from-scratch",
        part="test",
        images=600,
        means=(0.8, 0.4),
        value=0.4,
        interval=(0.35, 0.45),
    )


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What is asked to be trained; nothing is, and few images are drawn."""
    asked: list[Asked] = []

    def train(spec: TrainSpec, *, force: bool, **options: Any) -> None:
        asked.append(Asked(spec, force))

    run = SimpleNamespace(accuracy=0.8, accuracy_interval=(0.75, 0.85), accuracy_difference=sample_comparison())
    rows = [SimpleNamespace(label=name) for name in GREEK]
    monkeypatch.setattr(letters, "list_letters", lambda: iter(FEW_LETTERS))
    monkeypatch.setattr(module, "draw_demo", lambda *args, path, **options: path.touch())
    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "compare", lambda *args, **options: (run, run))
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: SimpleNamespace(report=None))
    monkeypatch.setattr(module, "predict", lambda *args, **options: ((), iter(rows)))
    monkeypatch.setattr(module, "export", lambda *args, **options: [None])
    return asked


def test_both_of_the_second_trainings_get_the_same_images(trainings: list[Asked], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    base, head, scratch = (asked.spec for asked in trainings)
    assert head.data.path == scratch.data.path != base.data.path
    assert head.network.backbone == base.out  # the frozen base is the run on the Latin letters
    assert (scratch.network, scratch.network.backbone) == (base.network, "small_cnn")
    assert Path(base.data.path, "A", "00.png").is_file() and Path(head.data.path, "test", "xi", "10.png").is_file()


def test_the_commands_that_are_shown_ask_for_what_the_demo_does(
    trainings: list[Asked], tmp_path: Path, headstart: Headstart, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []  # the arguments of any verb

    def verb(*values: object, **_: object) -> None:
        calls.append(values)
        raise UserError("enough")

    reporter = Lines()
    demo(str(tmp_path / "demo"), force=False, reporter=reporter)
    text = "\n".join(reporter.lines).replace("\\\n", "")
    commands = [shlex.split(line)[1:] for line in re.findall("^ +(headstart .*)", text, re.MULTILINE)]
    verbs = ["train", "train", "train", "compare", "evaluate", "predict", "export"]
    assert [command[0] for command in commands] == verbs
    monkeypatch.setattr("pipelines.runs.read_manifest.read_manifest", lambda run: None)  # `predict` looks first
    for command in commands:
        monkeypatch.setattr(f"pipelines.{command[0]}.{command[0]}", verb)
        assert headstart(*command).err.startswith("error: enough")
    assert calls[:3] == [(asked.spec,) for asked in trainings]
    _, greek, scratch = (asked.spec.out for asked in trainings)
    data = Path(trainings[1].spec.data.path)
    assert calls[3][0] == [scratch, greek]
    assert calls[4][:2] == (greek, str(data))
    assert calls[5][:2] == (greek, [str(data / "test" / "delta" / "10.png")])
    assert calls[6][:2] == (greek, str(tmp_path / "demo" / "exported"))


def test_an_earlier_demo_is_replaced_run_by_run(trainings: list[Asked], tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    assert [asked.force for asked in trainings] == [False] * 3
    with pytest.raises(UserError, match="is there already"):
        demo(str(out), force=False, reporter=Silent())
    times = {file: file.stat().st_mtime_ns for file in out.rglob("images/**/*.png")}
    assert len(times) == len(FEW_LETTERS)
    (out / "images" / ".DS_Store").touch()
    (out / f".{PICTURE}.x1y2z3.png").touch()  # a demo was killed while it drew
    damaged, missing = sorted(times)[:2]
    damaged.write_bytes(damaged.read_bytes()[:50])
    missing.unlink()
    demo(str(out), force=True, reporter=Silent())
    # `train --force` replaces a run when the new one is complete: the demo itself deletes none.
    assert [asked.force for asked in trainings] == [False] * 3 + [True] * 3
    for file in times.keys() - {damaged, missing}:
        assert file.stat().st_mtime_ns == times[file]
    for file in (damaged, missing):
        with Image.open(file) as picture:
            picture.load()
    assert [path.name for path in sorted(out.iterdir())] == [PICTURE, "images", "runs"]


def make_old_demo(out: Path) -> None:
    """Write the folders of the demo that learned digits."""
    for place in ("digits/zero-to-four/zero", "digits/five-to-nine/test/seven"):
        (out / place).mkdir(parents=True)
        (out / place / "digit-0000.png").touch()
    for name in OLD_RUNS:
        make_run(out / "runs" / name)


def test_the_demo_of_digits_goes_when_the_new_one_is_complete(
    trainings: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    make_old_demo(out)
    before = set(out.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "export", lambda *args, **options: fail())
        with pytest.raises(UserError, match="no memory"):
            demo(str(out), force=True, reporter=Silent())
    assert before <= set(out.rglob("*"))
    demo(str(out), force=True, reporter=Silent())
    assert not before & set(out.rglob("*")) - {out / "runs"}


def fail(*_: object, **__: object) -> None:
    raise UserError("no memory")


def test_a_demo_that_fails_leaves_the_earlier_one(
    trainings: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    for name in RUNS:
        make_run(out / "runs" / name)
    (out / "exported" / "1").mkdir(parents=True)
    (out / "exported" / "1" / "saved_model.pb").touch()
    before = sorted(out.rglob("*"))
    monkeypatch.setattr(module, "train", fail)
    with pytest.raises(UserError, match="no memory"):
        demo(str(out), force=True, reporter=Silent())
    assert sorted(out.rglob("*")) == before


def test_the_export_of_an_earlier_demo_goes_when_the_new_one_is_there(
    trainings: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"

    def export(run: str, folder: str, **_: object) -> list[None]:
        (Path(folder) / "7").mkdir(parents=True)
        return [None]

    (out / "exported" / "6" / "variables").mkdir(parents=True)
    (out / "exported" / "6" / "saved_model.pb").touch()
    monkeypatch.setattr(module, "export", export)
    demo(str(out), force=True, reporter=Silent())
    assert [path.name for path in (out / "exported").iterdir()] == ["7"]


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "images/latin/A/mine.png",
        "images/greek/test/xi/10.txt",
        "digits/six/digit-0006.txt",
        "runs/photos/run.json",
        "runs/greek/notes.txt",
        "runs/latin/model.keras",  # a model alone proves no run
        "runs/zero-to-four/model.keras",
        "exported/1/assets/labels.txt",
        "exported/notes.txt",
    ],
)
def test_files_of_others_keep_a_demo_from_being_replaced(trainings: list[Asked], tmp_path: Path, name: str) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    make_run(out / "runs" / "greek")
    file = out / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(UserError, match="files that the demo did not write"):
        demo(str(out), force=True, reporter=Silent())
    assert file.read_text() == "mine"
    assert len(trainings) == 3


@pytest.mark.parametrize("name", ["images", "digits", "demo.png"])
def test_a_link_is_not_written_through(trainings: list[Asked], tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"files that the demo did not write: `{name}`"):
        demo(str(tmp_path / "demo"), force=True, reporter=Silent())
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize("out", ["", "file", "file/demo", "link"])
def test_a_place_where_no_folder_can_be_is_refused(trainings: list[Asked], tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError):
        demo(str(tmp_path / out) if out else "", force=True, reporter=Silent())
    assert (tmp_path / "file").read_text() == "mine"


def test_the_picture_shows_the_images_and_both_accuracies(tmp_path: Path) -> None:
    for letter in FEW_LETTERS + tuple(letter for letter in ALL_LETTERS if letter.number < 10):
        write_one(tmp_path, letter)
    answers = tuple(GREEK)
    path = tmp_path / PICTURE

    def draw(accuracy: float) -> bytes:
        outcome = Outcome(name="head start", accuracy=accuracy, interval=(0.1, 0.9), answers=answers)
        draw_demo(tmp_path, scratch=outcome, transfer=outcome, difference=sample_comparison(), path=path)
        return path.read_bytes()

    assert draw(0.4) == draw(0.4) != draw(0.5)
    with Image.open(path) as picture:
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(2**24) or ()}
    # The letters' own images are in it, each with a colour of its own.
    assert colours >= {colour_of(letter) for letter in ALL_LETTERS if letter.path in first_test_images()}


def colour_of(letter: LetterFile) -> tuple[int, int, int]:
    place = ALL_LETTERS.index(letter)
    return (place % 256, place // 256, 77)


def write_one(folder: Path, letter: LetterFile) -> None:
    file = folder / letter.path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour_of(letter)).save(file)
