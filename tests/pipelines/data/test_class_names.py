"""Classes are matched by name, never by place."""

from __future__ import annotations

import unicodedata

import pytest

from models.errors import UserError
from pipelines.data.class_names import align, lookalikes, unify_spellings

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_classes_in_another_order_are_matched_by_name() -> None:
    assert align(["dog", "cat"], ["cat", "dog"]).labels == (1, 0)
    assert align(["cat", "dog"], ["cat", "dog"]).remarks == ()


def test_some_of_the_classes_are_enough_and_a_remark_names_the_others() -> None:
    alignment = align(["dog", "ant"], ["ant", "bee", "cat", "dog"])
    assert alignment.labels == (3, 0)
    assert alignment.remarks == (
        "the data has 2 of the run's 4 classes, without `bee`, `cat`: means over classes leave those out",
    )


def test_an_unknown_class_shows_both_lists_and_the_difference() -> None:
    with pytest.raises(UserError) as raised:
        align(["cat", "wolf"], ["cat", "dog"])
    assert raised.value.message == "the data has 1 class that the run does not know: +`wolf`; missing: -`dog`"
    assert raised.value.hint == "the run has `cat`, `dog`; the data has `cat`, `wolf`"


def test_the_hint_names_classes_that_differ_in_spelling_alone() -> None:
    with pytest.raises(UserError) as raised:
        align(["T-Shirt", "hat"], ["hat", "t_shirt"])
    assert raised.value.hint.endswith("rename `T-Shirt` to `t_shirt`")


def test_two_spellings_of_one_unicode_text_are_one_name() -> None:
    composed = "caf\u00e9"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    assert align([decomposed, "bar"], ["bar", composed]).labels == (1, 0)
    assert align([composed, "bar"], ["bar", decomposed]).labels == (1, 0)


def test_long_lists_are_cut_and_stay_on_one_line() -> None:
    with pytest.raises(UserError) as raised:
        align([f"x{number}\n" for number in range(300)], [f"y{number}" for number in range(300)])
    assert "and 280 more" in raised.value.message
    assert "\n" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("Cat", "cat", "dog"), "`Cat` and `cat`"),
        ((DECOMPOSED, COMPOSED, "bar"), "`cafe\\u0301` and `caf\\xe9`"),
        (("CAF\u00c9", DECOMPOSED), "`CAF\\xc9` and `cafe\\u0301`"),
    ],
)
def test_names_that_look_alike_get_a_remark_in_which_they_differ(names: tuple[str, ...], shown: str) -> None:
    (remark,) = lookalikes(names)
    assert remark == f"classes whose names differ in case or Unicode form alone stay apart: {shown}"


def test_names_that_differ_in_letters_get_no_remark() -> None:
    assert lookalikes(("cat", "cats", "caf\u00e9", "cafe", "t-shirt", "t_shirt")) == ()


def test_parts_that_spell_a_class_in_two_unicode_forms_have_one_class() -> None:
    classes, (remark,) = unify_spellings([["bar", COMPOSED], [DECOMPOSED, "bar"], [COMPOSED]])
    assert classes == {"bar": "bar", COMPOSED: COMPOSED, DECOMPOSED: COMPOSED}
    assert "different Unicode forms" in remark and COMPOSED in remark


def test_two_forms_within_a_part_are_two_classes_everywhere() -> None:
    classes, remarks = unify_spellings([[COMPOSED], [DECOMPOSED, COMPOSED]])
    assert classes == {COMPOSED: COMPOSED, DECOMPOSED: DECOMPOSED}
    assert remarks == ()


def test_case_is_never_matched() -> None:
    assert unify_spellings([["Cat"], ["cat"]]) == ({"Cat": "Cat", "cat": "cat"}, ())
