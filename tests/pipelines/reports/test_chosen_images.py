"""Which images the page of a run shows, against cases worked by hand."""

from __future__ import annotations

import numpy as np

from pipelines.reports.chosen_images import NUM_TYPICAL, choose_images

#                        answer, right?      confidence - truth
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],  # 0  cat, right
        [0.5, 0.4, 0.1],  # 1  cat, is dog           0.1
        [0.6, 0.0, 0.4],  # 2  cat, is dog           0.6
        [0.1, 0.5, 0.4],  # 3  dog, right
        [0.0, 1.0, 0.0],  # 4  dog, right
        [0.2, 0.1, 0.7],  # 5  fox, is cat           0.5
    ],
    np.float32,
)
LABELS = np.array([0, 1, 1, 1, 1, 0], np.int32)


def test_the_surest_of_a_wrong_class_is_the_worst_mistake() -> None:
    assert choose_images(PROBABILITIES, LABELS).mistakes.tolist() == [2, 5, 1]


def test_the_least_sure_come_next_and_no_image_twice() -> None:
    assert choose_images(PROBABILITIES, LABELS).unsure.tolist() == [3, 0, 4]


def test_typical_images_are_right_and_of_their_class() -> None:
    typical = choose_images(PROBABILITIES, LABELS).typical
    assert {label: places.tolist() for label, places in typical.items()} == {0: [0], 1: [4, 3]}


def test_a_class_without_images_has_no_typical_one() -> None:
    probabilities = np.tile(np.array([0.7, 0.2, 0.1], np.float32), (10, 1))
    chosen = choose_images(probabilities, np.zeros(10, np.int32))
    assert list(chosen.typical) == [0]
    assert chosen.typical[0].tolist() == list(range(NUM_TYPICAL))
    assert len(chosen.mistakes) == 0
