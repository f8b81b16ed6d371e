"""GoogLeNet against table 1, figure 2b and section 5 of its paper, with the auxiliary classifiers of its training."""

from __future__ import annotations

import numpy as np

from models.zoo import BACKBONES
from tests.models.test_classics import build, shapes

# Table 1: width of the input and maps of the 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5 and pool projection.
TABLE_1 = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def test_googlenet_is_the_one_of_2014() -> None:
    model = build("googlenet")
    names = "conv1_7x7 pool1 conv2_3x3 pool2 inception_3a_concat inception_3b_concat pool3 inception_4a_concat"
    assert shapes(model, *names.split()) == [
        *((112, 112, 64), (56, 56, 64), (56, 56, 192), (28, 28, 192)),
        *((28, 28, 256), (28, 28, 480), (14, 14, 480), (14, 14, 512)),
    ]
    assert shapes(model, "inception_4e_concat", "inception_5b_concat") == [(14, 14, 832), (7, 7, 1024)]
    assert model.count_params() + 1024 * 1000 + 1000 == BACKBONES["googlenet"].parameters == 6_998_552
    # 22 layers with weights in depth: 3 before the modules, 2 in each of 9, and the classifier.
    assert sum(layer.name.startswith("conv") and bool(layer.weights) for layer in model.layers) + 2 * 9 + 1 == 22


def test_a_module_has_the_kernels_of_figure_2b_and_table_1(no_random_numbers: None) -> None:
    model = build("googlenet", 32)
    for name, (width, narrow, reduce3, wide3, reduce5, wide5, projected) in TABLE_1.items():
        kernels = {
            "1x1": (1, 1, width, narrow),
            "3x3_reduce": (1, 1, width, reduce3),
            "3x3": (3, 3, reduce3, wide3),
            "5x5_reduce": (1, 1, width, reduce5),
            "5x5": (5, 5, reduce5, wide5),
            "pool_projection": (1, 1, width, projected),
        }
        parts = {part: model.get_layer(f"inception_{name}_{part}").kernel.shape for part in kernels}
        assert parts == kernels, name


def test_the_map_before_a_projection_is_the_greatest_of_its_neighbours(no_random_numbers: None) -> None:
    import keras

    pool = build("googlenet", 32).get_layer("inception_3a_pool")
    inputs = keras.Input((5, 5, 192))
    maps = np.random.default_rng(0).normal(size=(1, 5, 5, 192)).astype("float32")
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    np.testing.assert_array_equal(keras.Model(inputs, pool(inputs))(maps), windows.max(axis=(-2, -1)))


def test_batch_normalisation_stands_for_the_local_response_and_the_biases(no_random_numbers: None) -> None:
    plain, normalised = build("googlenet", 64), build("googlenet_bn", 64)
    assert normalised.output_shape == plain.output_shape == (None, 2, 2, 1024)
    counts = [
        sum(operation.name.startswith("power") for operation in model.operations) for model in (plain, normalised)
    ]
    assert counts == [2, 0]
    norms = [layer for layer in normalised.layers if type(layer).__name__ == "BatchNormalization"]
    assert len(norms) == 3 + 6 * 9  # one for each convolution


def test_googlenet_trains_with_its_auxiliary_classifiers() -> None:
    import keras

    from models.classifier import build_classifier
    from models.googlenet import add_auxiliary_classifiers
    from models.heads import HEADS, build_head

    classifier = build_classifier(build("googlenet", 96), build_head(HEADS["linear"], num_features=1024, num_classes=3))
    whole, weights = add_auxiliary_classifiers(classifier)
    assert weights == (1.0, 0.3, 0.3)
    assert [output.shape for output in whole.outputs] == [(None, 3)] * 3
    images = np.random.default_rng(0).uniform(0, 255, (4, 96, 96, 3)).astype("float32")
    np.testing.assert_allclose(whole(images)[0], classifier(images), atol=1e-6)
    before = [np.array(value) for value in classifier.get_weights()]
    whole.compile(
        keras.optimizers.SGD(0.01),
        ["sparse_categorical_crossentropy"] * 3,
        loss_weights=[float(weight) for weight in weights],
    )
    labels = np.arange(4) % 3
    whole.fit(images, [labels] * 3, verbose=0)
    changed = [not np.array_equal(now, then) for now, then in zip(classifier.get_weights(), before, strict=True)]
    assert all(changed)
    assert whole.count_params() > classifier.count_params() == sum(value.size for value in before)


def test_auxiliary_classifiers_have_the_shapes_of_the_paper() -> None:
    from models.classifier import build_classifier
    from models.googlenet import add_auxiliary_classifiers
    from models.heads import HEADS, build_head

    classifier = build_classifier(build("googlenet"), build_head(HEADS["linear"], num_features=1024, num_classes=1000))
    whole, _ = add_auxiliary_classifiers(classifier)
    for name in ("4a", "4d"):
        assert whole.get_layer(f"auxiliary_{name}_conv").output.shape[1:] == (4, 4, 128)
        assert whole.get_layer(f"auxiliary_{name}_dense").output.shape[1:] == (1024,)


def test_auxiliary_classifiers_stand_on_4a_and_4d_and_leave_the_classifier_alone(no_random_numbers: None) -> None:
    from models.classifier import build_classifier
    from models.googlenet import add_auxiliary_classifiers
    from models.heads import HEADS, build_head

    classifier = build_classifier(build("googlenet", 32), build_head(HEADS["linear"], num_features=1024, num_classes=3))
    names = [layer.name for layer in classifier.layers]
    whole, _ = add_auxiliary_classifiers(classifier)
    # Section 5: the average pool gives 4 x 4 x 512 for 4a and 4 x 4 x 528 for 4d.
    assert whole.get_layer("auxiliary_4a_conv").kernel.shape == (1, 1, 512, 128)
    assert whole.get_layer("auxiliary_4d_conv").kernel.shape == (1, 1, 528, 128)
    assert [layer.rate for layer in whole.layers if type(layer).__name__ == "Dropout"][-2:] == [0.7, 0.7]
    assert [layer.name for layer in classifier.layers] == names and len(classifier.outputs) == 1
