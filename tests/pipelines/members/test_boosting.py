"""SAMME against scikit-learn's AdaBoost."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from pipelines.members.boosting import boost


def test_weights_are_those_of_scikit_learn() -> None:
    digits = load_digits()
    stump = DecisionTreeClassifier(max_depth=3, random_state=0)
    boosted = AdaBoostClassifier(stump, n_estimators=12, random_state=0).fit(digits.data, digits.target)
    image_weights, weights = np.full(len(digits.target), 1 / len(digits.target)), []
    for member in boosted.estimators_:
        step = boost(image_weights, member.predict(digits.data) != digits.target, num_classes=10)
        image_weights = step.image_weights
        weights.append(step.weight)
        assert step.continues
    assert weights == pytest.approx(list(boosted.estimator_weights_), rel=1e-9)


def test_by_hand() -> None:
    # Error 1/4 of three classes: log(3) + log(2) = log(6), so the wrong image weighs 6 to the others' 1.
    step = boost([1, 1, 1, 1], [True, False, False, False], num_classes=3)
    assert step.weight == pytest.approx(np.log(6))
    assert step.image_weights == pytest.approx(np.array([6, 1, 1, 1]) / 9)


def test_a_perfect_member_ends_it_and_one_like_chance_is_left_out() -> None:
    perfect = boost([1, 1], [False, False], num_classes=2)
    assert (perfect.weight, perfect.continues) == (1.0, False)
    chance = boost([1, 1], [True, False], num_classes=2)
    assert (chance.weight, chance.continues) == (0.0, False)
