"""Policy files: read whole, or refused with the file and the key that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.images.policies import find_policy
from pipelines.images.policy import Policy, PolicyStep
from pipelines.images.policy_file import read_policy

BAD_FILES = {
    "views = 0": "whole number",
    "view = 3": "unknown key `view`",
    "step = 3": "no list",
    "[[step]]\nfactor = 1": "step 1 has no `layer`",
    '[[step]]\nlayer = "RandomRotatoin"': "unknown augmentation layer",
    '[[step]]\nlayer = "RandomHue"\nprobability = 3': "`probability` must be a number from 0 to 1",
    'mixup = "yes"': "`mixup` must be a number",
    '[[step]]\nlayer = "GaussianNoise"\nstddev = nan': "`stddev` of `GaussianNoise` must be finite",
    '[[step]]\nlayer = "RandomResizedCrop"\naspect_ratio = [0.5, inf]': "`aspect_ratio` of `RandomResizedCrop`",
    "= 3": "not TOML",
    "views = " + "[" * 10_000: "not TOML",
}


def test_everything_in_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        'views = 6\nmixup = 0.2\n[[step]]\nlayer = "RandomRotation"\nfactor = [-0.1, 0.2]\nprobability = 0.5\n'
        '[[step]]\nlayer = "RandomFlip"\nmode = "horizontal"\n'
    )
    assert read_policy(path) == Policy(
        name=str(path),
        views=6,
        mixup=0.2,
        cutmix=0.0,
        steps=(
            PolicyStep(layer="RandomRotation", arguments={"factor": [-0.1, 0.2]}, probability=0.5),
            PolicyStep(layer="RandomFlip", arguments={"mode": "horizontal"}),
        ),
    )


def test_the_number_of_views_does_not_change_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('views = 3\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    before = find_policy(str(path)).digest
    path.write_text('views = 9\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    assert find_policy(str(path)).digest == before
    assert find_policy(str(path)).views == 9
    path.write_text('[[step]]\nlayer = "RandomHue"\nfactor = 0.4\n')
    assert find_policy(str(path)).digest != before


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_policy_files_are_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        find_policy(str(path))
    assert BAD_FILES[text] in caught.value.message
    assert "policy.toml" in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        find_policy(str(tmp_path / "none.toml"))


def test_bytes_that_are_not_text_are_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not TOML"):
        read_policy(path)
