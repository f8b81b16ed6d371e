"""Names are looked up in tables; a mistyped name gets the nearest ones or the whole list as a hint."""

from __future__ import annotations

import pytest

from models.errors import UserError, first_line, lookup

TABLE = {"resnet50": 1, "resnet101": 2, "vgg16": 3}


def test_a_known_name_gives_its_record() -> None:
    assert lookup(TABLE, "vgg16", "backbone") == 3


@pytest.mark.parametrize("name", ["resnet5", "ResNet50", "resnet-50"])
def test_a_mistyped_name_shows_the_nearest_first(name: str) -> None:
    with pytest.raises(UserError) as caught:
        lookup(TABLE, name, "backbone")
    assert caught.value.message == f"unknown backbone: `{name}`"
    assert caught.value.hint.startswith("did you mean `resnet50`")
    assert caught.value.hint.endswith("?") and "vgg16" not in caught.value.hint


def test_a_name_like_no_other_shows_the_whole_table() -> None:
    with pytest.raises(UserError) as caught:
        lookup(TABLE, "zzz", "head")
    assert (caught.value.message, caught.value.hint) == (
        "unknown head: `zzz`",
        "choose one of: resnet50, resnet101, vgg16",
    )


def test_an_error_is_the_users_unless_a_gate_failed() -> None:
    assert (UserError("a").exit_code, UserError("a").hint) == (1, "")
    assert UserError("a", exit_code=3).exit_code == 3
    assert str(UserError("what is wrong", "how to fix it")) == "what is wrong"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n the shape differs.\nby much"), "the shape differs"),
        (OSError("cannot open:"), "cannot open"),
        (ValueError(" "), "ValueError"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_first_line_of_an_error_names_it(error: BaseException, line: str) -> None:
    assert first_line(error) == line
