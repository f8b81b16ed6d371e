"""Batches: order, labels, weights, and views that do not depend on their neighbours."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from pipelines.images.augment import build_augmenter
from pipelines.images.batches import Draws, pixel_batches, view_batches
from pipelines.images.mixing import build_mixer
from pipelines.images.policies import find_policy
from pipelines.images.policy import Policy
from pipelines.runs.examples import Example
from pipelines.runs.square import Square
from tests.pipelines.pictures import drawn, pillow_resized, saved

SIZE = 32
SQUARE = Square(size=SIZE, fit="squash")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("pictures")
    examples = []
    for number in range(11):
        data = saved(drawn(40 + number, 50, seed=number), "PNG")
        name = os.path.join(os.fsencode(folder), b"b\xe4r-%d.jpg" % number)
        with open(name, "wb") as stream:
            stream.write(data)
        path, digest = os.fsdecode(name), hashlib.sha256(data).hexdigest()
        examples.append(Example(path=path, label=number % 3, split="train", sha256=digest, source=path))
    return examples


def _pixels(example: Example) -> np.ndarray:
    with open(os.fsencode(example.source), "rb") as stream:
        return pillow_resized(stream.read(), SIZE)


def test_clean_batches_keep_the_order(examples: list[Example]) -> None:
    batches = list(pixel_batches(examples, square=SQUARE, batch=4))
    assert [pixels.shape for pixels, _ in batches] == [(4, SIZE, SIZE, 3), (4, SIZE, SIZE, 3), (3, SIZE, SIZE, 3)]
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.dtype == np.int32
    assert labels.tolist() == [example.label for example in examples]
    pixels = np.concatenate([pixels for pixels, _ in batches])
    assert pixels.dtype == np.float32
    for image, example in zip(pixels, examples, strict=True):
        assert np.abs(image - _pixels(example)).mean() < 0.35


def test_the_tuner_of_tf_data_is_off(examples: list[Example]) -> None:
    # An iterator that has come to its end would wait for it, up to a minute: see `pipelines.images.batches.ahead`.
    datasets = [
        view_batches([(example, 0) for example in examples], square=SQUARE, batch=4),
        pixel_batches(examples, square=SQUARE, batch=4, draws=Draws(shuffle=True)),
        pixel_batches(examples, square=SQUARE, batch=4).map(lambda pixels, labels: (pixels, labels, labels)),
    ]
    assert [dataset.options().autotune.enabled for dataset in datasets] == [False] * 3


def test_an_epoch_has_its_own_order_and_every_image_once(examples: list[Example]) -> None:
    def order(epoch: int, seed: int = 0) -> list[int]:
        weights = np.arange(3, dtype=np.float32)
        draws = Draws(shuffle=True, epoch=epoch, seed=seed)
        batches = pixel_batches(examples, square=SQUARE, batch=3, draws=draws, class_weights=weights)
        places = []
        for pixels, labels, image_weights in batches:
            np.testing.assert_array_equal(image_weights, weights[labels.numpy()])
            for image, label in zip(pixels.numpy(), labels.numpy(), strict=True):
                distances = [np.abs(image - _pixels(example)).mean() for example in examples]
                places.append(int(np.argmin(distances)))
                assert examples[places[-1]].label == label
        return places

    assert sorted(order(0)) == list(range(11))
    assert order(0) == order(0)
    assert len({tuple(order(0)), tuple(order(1)), tuple(order(0, seed=1)), tuple(range(11))}) == 4


def test_a_view_does_not_depend_on_its_neighbours(examples: list[Example]) -> None:
    augmenter = build_augmenter(find_policy("light"), size=SIZE)
    entries = [(example, view) for example in examples for view in (1, 2, 3)]
    whole = np.concatenate(list(view_batches(entries, square=SQUARE, batch=8, augmenter=augmenter, seed=3)))
    picked = [7, 30, 12, 0]
    alone = np.concatenate(
        list(
            view_batches(
                [entries[place] for place in picked],
                square=SQUARE,
                batch=1,
                augmenter=build_augmenter(find_policy("light"), size=SIZE),
                seed=3,
            )
        )
    )
    np.testing.assert_array_equal(alone, whole[picked])
    other = np.concatenate(list(view_batches(entries, square=SQUARE, batch=8, augmenter=augmenter, seed=4)))
    assert np.abs(other - whole).mean() > 1
    # Two images of the same content have the same views, wherever they lie.
    assert len({view.tobytes() for view in whole}) == len(entries)


def test_view_zero_is_clean(examples: list[Example]) -> None:
    augmenter = build_augmenter(find_policy("strong"), size=SIZE)
    views = next(iter(view_batches([(examples[2], 0)], square=SQUARE, batch=1, augmenter=augmenter)))
    assert np.abs(views[0] - _pixels(examples[2])).mean() < 0.35
    with pytest.raises(ValueError, match="augmenter"):
        view_batches([(examples[2], 1)], square=SQUARE, batch=1)


def test_every_epoch_has_fresh_views(examples: list[Example]) -> None:
    augmenter = build_augmenter(find_policy("light"), size=SIZE)

    def epoch(number: int) -> np.ndarray:
        batches = pixel_batches(examples, square=SQUARE, batch=4, draws=Draws(augmenter=augmenter, epoch=number))
        return np.concatenate([pixels for pixels, _ in batches])

    np.testing.assert_array_equal(epoch(0), epoch(0))
    assert np.abs(epoch(0) - epoch(1)).mean() > 1


def test_one_hot_and_mixed_labels(examples: list[Example]) -> None:
    plain = next(iter(pixel_batches(examples, square=SQUARE, batch=11, num_classes=3)))
    np.testing.assert_array_equal(plain[1], np.eye(3)[[example.label for example in examples]])
    mixer = build_mixer(Policy(mixup=1.0))

    def mixed() -> tuple[np.ndarray, np.ndarray]:
        batches = pixel_batches(examples, square=SQUARE, batch=4, num_classes=3, draws=Draws(mixer=mixer))
        pixels, labels = zip(*batches, strict=True)
        return np.concatenate(pixels), np.concatenate(labels)

    pixels, labels = mixed()
    np.testing.assert_array_equal(pixels, mixed()[0])
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-5)
    assert ((labels > 0.01) & (labels < 0.99)).any()
    with pytest.raises(ValueError, match="one-hot"):
        pixel_batches(examples, square=SQUARE, batch=4, draws=Draws(mixer=mixer))


def test_no_examples() -> None:
    assert list(pixel_batches([], square=SQUARE, batch=4)) == []
    draws = Draws(augmenter=build_augmenter(find_policy("light"), size=SIZE))
    assert list(pixel_batches([], square=SQUARE, batch=4, draws=draws)) == []


def test_mixed_batches_differ_from_epoch_to_epoch(examples: list[Example]) -> None:
    mixer = build_mixer(Policy(mixup=1.0))

    def labels(epoch: int) -> np.ndarray:
        draws = Draws(mixer=mixer, epoch=epoch)
        return np.concatenate(
            [soft for _, soft in pixel_batches(examples, square=SQUARE, batch=4, num_classes=3, draws=draws)]
        )

    np.testing.assert_array_equal(labels(1), labels(1))
    assert np.abs(labels(0) - labels(1)).max() > 0.1
