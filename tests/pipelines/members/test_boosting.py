"""Which images the next member is trained on, worked by hand from the three nets of Drucker et al. (1993)."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.members.boosting import BoostingEnds, weigh_images

LABELS = [0, 1, 2, 0, 1, 2, 0, 1]


def test_the_first_member_learns_from_all_images_alike() -> None:
    assert weigh_images([], LABELS).tolist() == [1] * 8


def test_half_of_what_the_second_sees_is_what_the_first_gets_wrong() -> None:
    # Two of eight are wrong: they make 4 of the 8 images of an epoch, the other six the rest.
    weights = weigh_images([[0, 1, 2, 0, 1, 2, 1, 0]], LABELS)
    assert weights == pytest.approx([4 / 6] * 6 + [2, 2])


def test_half_of_what_the_third_sees_is_what_the_first_two_disagree_on() -> None:
    # Of image 0 both are wrong alike; of image 7 only the second is right; images 1 and 2 the second gets wrong.
    first, second = [1, 1, 2, 0, 1, 2, 0, 0], [1, 0, 0, 0, 1, 2, 0, 1]
    is_hard = np.asarray([False, True, True, False, False, False, False, True])
    assert weigh_images([first, second], LABELS) == pytest.approx(np.where(is_hard, 4 / 3, 4 / 5))


def test_a_fourth_goes_by_all_three() -> None:
    agreeing = [0, 1, 2, 0, 1, 2, 0, 1]
    third = [0, 1, 2, 0, 1, 2, 0, 2]
    assert weigh_images([agreeing, agreeing, third], LABELS) == pytest.approx([4 / 7] * 7 + [4])


def test_where_all_images_are_hard_they_count_alike() -> None:
    assert weigh_images([[1, 2, 0, 1, 2, 0, 1, 2]], LABELS).tolist() == [1] * 8


def test_it_ends_where_nothing_is_left_to_learn_and_says_why() -> None:
    with pytest.raises(BoostingEnds, match="it predicts every training image correctly, out of fold") as caught:
        weigh_images([LABELS], LABELS)
    assert caught.value.num_members == 1
    wrong = [1, 1, 2, 0, 1, 2, 0, 1]
    with pytest.raises(BoostingEnds, match="they agree on every training image") as caught:
        weigh_images([wrong, wrong], LABELS)
    assert caught.value.num_members == 2
