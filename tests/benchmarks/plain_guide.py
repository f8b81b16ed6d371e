"""What a user would write after the Keras transfer-learning guide: the peer that `headstart train` is timed against.

    python tests/benchmarks/plain_guide.py DATA [--epochs 20] [--backbone MobileNetV2]

The frozen base runs in every epoch under fresh augmentation; the same weights, data and number of classes. Prints one
line of JSON: test accuracy and seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Train as the guide does, judge on the test part, print what came out."""
    started = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--backbone", default="MobileNetV2")
    arguments = parser.parse_args()

    import keras

    def load(part: str) -> object:
        return keras.utils.image_dataset_from_directory(
            f"{arguments.data}/{part}",
            image_size=(224, 224),
            batch_size=64,
            shuffle=part == "train",
            seed=0,
            verbose=False,
        )

    train, validation, test = load("train"), load("validation"), load("test")
    num_classes = len(train.class_names)  # type: ignore[attr-defined]
    train, validation, test = (part.prefetch(2) for part in (train, validation, test))  # type: ignore[attr-defined]

    base = getattr(keras.applications, arguments.backbone)(
        weights="imagenet", input_shape=(224, 224, 3), include_top=False
    )
    base.trainable = False
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(num_classes)(x))
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=validation, epochs=arguments.epochs, verbose=0)
    _, accuracy = model.evaluate(test, verbose=0)
    print(json.dumps({"accuracy": accuracy, "seconds": time.monotonic() - started, "epochs": arguments.epochs}))


if __name__ == "__main__":
    main()
