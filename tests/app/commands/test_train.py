"""Every option of `train` arrives where it belongs: a flag that is read and forgotten would go unseen."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.core import TyperOption

from app.cli import command_line
from app.options.everywhere import is_everywhere
from pipelines.runs.command_line import command_of
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.manifest import RunRequest
from pipelines.runs.spec import TrainSpec
from tests.app.test_main import Headstart
from tests.specs import train_spec, with_options

PLAIN = train_spec(data="photos", out="run")
# Options that no record keeps.
OF_THE_COMMAND = {"--out", "-o", "-b", "--force", "--cache", "--json", "--help-all", "--report", "--no-report"}
OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "--backbone": (("vgg16",), {"backbone": "vgg16"}),
    "--weights": (("none",), {"weights": "none"}),
    "--image-size": (("96",), {"image_size": 96}),
    "--fit": (("crop",), {"fit": "crop"}),
    "--engine": (("keras",), {"engine": "keras"}),
    "--kernel": (("3",), {"kernel": 3}),
    "--activation": (("tanh",), {"activation": "tanh"}),
    "--dense": (("20",), {"dense": "20"}),
    "--channels": (("1",), {"channels": 1}),
    "--momentum": (("0.5",), {"momentum": 0.5}),
    "--head": (("mlp",), {"head": "mlp"}),
    "--pooling": (("max",), {"pooling": "max"}),
    "--features": (("levels",), {"features": "levels"}),
    "--mirror": ((), {"mirror": True}),
    "--hidden": (("64",), {"hidden": 64}),
    "--dropout": (("0.4",), {"dropout": 0.4}),
    "--l2": (("0.02",), {"l2": 0.02}),
    "--heads": (("3",), {"heads": 3}),
    "--augment": (("strong",), {"augment": "strong"}),
    "--no-flip": ((), {"no_flip": True}),
    "--rotate90": ((), {"rotate90": True}),
    "--no-color": ((), {"no_color": True}),
    "--views": (("6",), {"views": 6}),
    "--no-cache": ((), {"cache": False}),
    "--strict": ((), {"strict": True}),
    "--class-weights": (("auto",), {"class_weights": "auto"}),
    "--validation": (("hold-out",), {"validation": "hold-out"}),
    "--optimizer": (("sgd",), {"optimizer": "sgd"}),
    "--learning-rate": (("0.5",), {"learning_rate": 0.5}),
    "--epochs": (("7",), {"epochs": 7}),
    "--patience": (("4",), {"patience": 4}),
    "--batch": (("16",), {"batch": 16}),
    "--weight-decay": (("0.01",), {"weight_decay": 0.01}),
    "--precision": (("bfloat16",), {"precision": "bfloat16"}),
    "--seed": (("5",), {"seed": 5}),
    "--fine-tune": (("2",), {"fine_tune": "2"}),
    "--layer-decay": (("0.5",), {"layer_decay": 0.5}),
    "--warm-up": (("2.5",), {"warm_up": 2.5}),
    "--clip": (("0",), {"clip": 0.0}),
    "--label-smoothing": (("0.1",), {"label_smoothing": 0.1}),
    "--ema": (("0.9",), {"ema": 0.9}),
    "--train-bn": ((), {"train_bn": True}),
    "--tensorboard": ((), {"tensorboard": True}),
    "--layerwise": ((), {"layerwise": True}),
    "--init": (("gaussian",), {"init": "gaussian"}),
}
ENSEMBLE_OPTIONS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "--seeds": (("3",), {"seeds": 3}),
    "--folds": (("4",), {"folds": 4}),
    "--bag": ((), {"bag": True}),
    "--boost": ((), {"boost": True}),
    "--method": (("vote",), {"method": "vote"}),
}
ALL_OPTIONS = (*OPTIONS.items(), *ENSEMBLE_OPTIONS.items())


def test_without_options_the_recommendation_is_what_is_trained(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec]
) -> None:
    headstart("train", "photos", "--out", "run")
    assert asked == [PLAIN]


@pytest.mark.parametrize("flag", OPTIONS)
def test_an_option_arrives_in_the_spec_and_changes_nothing_else(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec], flag: str
) -> None:
    words, fields = OPTIONS[flag]
    headstart("train", "photos", "--out", "run", flag, *words)
    assert asked == [with_options(PLAIN, **fields)]
    assert asked != [PLAIN]


@pytest.mark.parametrize("flag", ENSEMBLE_OPTIONS)
def test_an_option_of_ensembles_arrives_too(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec], flag: str
) -> None:
    words, fields = ENSEMBLE_OPTIONS[flag]
    # Two backbones, so that it is an ensemble whatever else is asked for.
    headstart("train", "photos", "--out", "run", "--backbone", "vgg16", "--backbone", "resnet50", flag, *words)
    common = with_options(PLAIN, backbone="vgg16")
    assert asked == [
        replace(MembersSpec(common=common, backbones=("vgg16", "resnet50"), heads=("linear",)), **fields)  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(("flag", "words"), [(flag, words) for flag, (words, _) in ALL_OPTIONS])
def test_the_command_that_a_request_stands_for_asks_for_it_again(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec], flag: str, words: tuple[str, ...]
) -> None:
    several = ("-b", "vgg16", "-b", "resnet50", "--optimizer", "sgd", "--optimizer", "adam", "--init", "he_normal")
    for more in ((), several):
        headstart("train", "pho tos", "--out", "a run", flag, *words, *more)
    for spec in tuple(asked):
        request = RunRequest(members=spec) if isinstance(spec, MembersSpec) else RunRequest(train=spec)
        name, *arguments = command_of(request)
        assert name == "headstart"
        headstart(*arguments)
    assert asked[2:] == asked[:2]


def test_no_option_is_left_out_here() -> None:
    command = command_line().commands["train"]
    own = {
        name
        for option in command.params
        if isinstance(option, TyperOption) and not is_everywhere(option)
        for name in (*option.secondary_opts, *option.opts)
    }
    assert own - OF_THE_COMMAND == {*OPTIONS, *ENSEMBLE_OPTIONS}


def test_the_folder_is_taken_as_it_was_typed(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec], tmp_path: Path
) -> None:
    typed = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    headstart("train", typed, "--out", "run", "--force")
    assert asked == [with_options(PLAIN, data=typed)]


@pytest.mark.parametrize(
    ("flags", "named"),
    [(("--folds", "1"), "--folds must be"), (("--boost",), "--boost needs"), (("--method", "nosuch"), "`nosuch`")],
)
def test_an_option_of_ensembles_is_never_ignored(
    flags: tuple[str, ...], named: str, headstart: Headstart, tmp_path: Path
) -> None:
    result = headstart("train", str(tmp_path), "--out", str(tmp_path / "run"), *flags)
    assert (result.code, result.out) == (1, "")
    assert "error:" in result.err and named in result.err
    assert not (tmp_path / "run").exists()


def test_a_method_for_a_single_model_is_said_to_have_no_effect(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec]
) -> None:
    assert "--method: without effect" in headstart("train", "photos", "--out", "run", "--method", "stack").err
    assert asked == [PLAIN]
    assert "--method" not in headstart("train", "photos", "--out", "run").err
    assert "--method" not in headstart("train", "photos", "--out", "run", "--method", "stack", "--bag").err


def test_without_a_folder_the_run_goes_to_a_new_one_called_after_the_data(
    headstart: Headstart, asked: list[TrainSpec | MembersSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    headstart("train", "photos/")
    (tmp_path / "runs" / "photos-1").mkdir(parents=True)
    headstart("train", "photos/", "--force")
    headstart("train", "photos/", "--folds", "2")
    places = [call.common.out if isinstance(call, MembersSpec) else call.out for call in asked]
    assert places == ["runs/photos-1", "runs/photos-2", "runs/photos-2"]


def test_a_run_inside_the_images_is_refused_before_anything_is_written(
    headstart: Headstart, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = image_folder("photos", per_class=2)
    monkeypatch.chdir(photos)
    before = sorted(photos.rglob("*"))
    for flags in ((), ("--out", "run"), ("--bag", "--seeds", "2")):
        result = headstart("train", ".", "--backbone", "small_cnn", *flags)
        assert result.code == 1 and "inside the images of `.`" in result.err and "--out" in result.err
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize("blocks", ["conv9", "99", "0"])
@pytest.mark.parametrize("flags", [(), ("--backbone", "mobilenet_v2", "--folds", "2")], ids=["one", "several"])
def test_blocks_that_a_published_backbone_lacks_are_refused_at_once_and_leave_nothing(
    blocks: str,
    flags: tuple[str, ...],
    headstart: Headstart,
    image_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.weights.require_weights", lambda *_: None)
    data, run = image_folder("photos", per_class=3), tmp_path / "run"
    result = headstart("train", data, "--out", run, "--backbone", "resnet50", "--fine-tune", blocks, *flags)
    assert result.code == 1
    assert f"no block `{blocks}`" in result.err or f"{blocks} blocks are" in result.err or "no block\n" in result.err
    assert not run.exists() and "checking images" not in result.err


def test_a_missing_folder_is_named_before_missing_weights(headstart: Headstart, tmp_path: Path) -> None:
    for flags in ((), ("--bag", "--seeds", "2")):
        result = headstart("train", tmp_path / "photso", "--out", tmp_path / "run", "--backbone", "vgg16", *flags)
        assert result.code == 1 and "photso` does not exist" in result.err
