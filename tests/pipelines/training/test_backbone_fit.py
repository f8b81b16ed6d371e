"""A network from a run sees pictures as that run did, unless the user asks for something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.members import processes
from pipelines.runs.layout import MODEL_FILE
from pipelines.runs.read_manifest import read_manifest, write_manifest
from pipelines.runs.spec import ConvSpec, NetworkSpec
from pipelines.runs.square import Fit
from pipelines.train import train
from pipelines.train_members import train_members
from pipelines.training.backbone import BackboneSource, find_backbone
from pipelines.training.backbone_fit import fit_lines, resolve_fit
from tests.pipelines.manifests import manifest_with
from tests.pipelines.members.small_ensemble import members_spec, run_here
from tests.pipelines.new_heads import spec_on
from tests.pipelines.reporters import Notes

Source = Callable[[str, Fit], BackboneSource]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """The backbone of a run that fitted its pictures in some way."""

    def make(name: str, fit: Fit) -> BackboneSource:
        run = tmp_path / name
        run.mkdir()
        (run / MODEL_FILE).touch()
        write_manifest(run, manifest_with(fit=fit))
        return find_backbone(NetworkSpec(backbone=str(run)), ConvSpec())

    return make


def test_the_fit_of_a_run_is_taken_over_where_none_is_asked_for(source: Source) -> None:
    named = find_backbone(NetworkSpec(backbone="vgg16", weights="none"), ConvSpec())
    cropped, padded = source("cropped", "crop"), source("padded", "pad")
    nothing = NetworkSpec()
    assert resolve_fit(nothing, [named]).fit == "squash"
    assert resolve_fit(nothing, [cropped]).fit == "crop"
    assert resolve_fit(nothing, [named, padded, padded]).fit == "pad"
    assert resolve_fit(NetworkSpec(fit="squash"), [cropped]).fit == "squash"
    with pytest.raises(UserError, match=r"--fit crop and .*--fit pad") as caught:
        resolve_fit(nothing, [cropped, named, padded])
    assert "--fit" in caught.value.hint
    assert resolve_fit(NetworkSpec(fit="pad"), [cropped, padded]).fit == "pad"


def test_a_line_says_what_was_taken_over_and_what_differs(source: Source) -> None:
    named = find_backbone(NetworkSpec(backbone="vgg16", weights="none"), ConvSpec())
    cropped, squashed = source("cropped", "crop"), source("squashed", "squash")
    assert fit_lines(NetworkSpec(fit="crop"), named) == fit_lines(NetworkSpec(fit="squash"), squashed) == []
    (taken,) = fit_lines(NetworkSpec(fit="crop"), cropped)
    assert taken == f"--fit crop: as in `{cropped.name}`"
    for fit, run in (("squash", cropped), ("pad", cropped), ("pad", squashed)):
        (differs,) = fit_lines(NetworkSpec(fit=fit), run)  # type: ignore[arg-type]  # a literal
        assert f"--fit {fit}" in differs and f"fitted by {read_manifest(run.name).fit}" in differs


def test_a_training_on_a_run_keeps_its_fit_and_says_so(
    drawn: Path, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data = image_folder("data", per_class=8)
    train(spec_on(drawn, data, tmp_path / "cropped", fit="crop"))
    notes = Notes()
    spec = spec_on(drawn, data, tmp_path / "next", backbone=str(tmp_path / "cropped"))
    manifest = train(spec, reporter=notes)
    line = f"--fit crop: as in `{tmp_path / 'cropped'}`"
    assert (manifest.fit, manifest.spec.train and manifest.spec.train.network.fit) == ("crop", "crop")
    assert line in notes.lines and line in read_manifest(tmp_path / "next").notes
    other = train(spec_on(drawn, data, tmp_path / "other", backbone=str(tmp_path / "cropped"), fit="squash"))
    assert other.fit == "squash"
    assert [note for note in other.notes if "fitted by crop" in note]


def test_members_on_a_run_keep_its_fit(
    drawn: Path, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "run_in_worker", run_here)
    train(spec_on(drawn, image_folder("data", per_class=8), tmp_path / "cropped", fit="crop"))
    spec = members_spec(drawn, tmp_path / "all", heads=("linear", "mlp"), method="mean")
    joined = train_members(replace(spec, backbones=(str(tmp_path / "cropped"),)))
    assert joined.fit == "crop"
    assert f"--fit crop: as in `{tmp_path / 'cropped'}`" in joined.notes
