"""`--mirror` is refused, before an image is read, where nothing is averaged or a mirror image shows something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from pipelines.training.plan import look_up_names
from tests.specs import train_spec


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file in the place of weights: nothing reads it."""
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return str(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no_flip": True}, "--no-flip"),
        ({"cache": False}, "--no-cache"),
        ({"fine_tune": "2"}, "--fine-tune"),
        ({"weights": "none"}, "for pretrained networks"),
        ({"backbone": "lenet5", "weights": "imagenet"}, "for pretrained networks"),
    ],
)
def test_mirror_is_refused_where_it_cannot_be(options: dict[str, Any], words: str, weights: str) -> None:
    asked: dict[str, Any] = {"backbone": "mobilenet_v2", "weights": weights} | options
    look_up_names(train_spec(**asked))
    with pytest.raises(UserError) as caught:
        look_up_names(train_spec(mirror=True, **asked))
    assert words in caught.value.message
    assert "omit" in caught.value.hint


@pytest.mark.parametrize(
    "options", [{}, {"features": "levels"}, {"head": "mlp"}, {"augment": "light"}, {"pooling": "max"}]
)
def test_mirror_goes_with_what_caches_features(options: dict[str, Any], weights: str) -> None:
    assert look_up_names(train_spec(backbone="mobilenet_v2", weights=weights, mirror=True, **options))
