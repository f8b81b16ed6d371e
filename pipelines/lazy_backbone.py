"""A training's backbone, built when it is needed: features that are cached need none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.freezing import freeze
from pipelines.decode import DECODE_VERSION
from pipelines.features import Base, weights_digest
from pipelines.train import Work

if TYPE_CHECKING:
    from keras import Model


class LazyBackbone:
    """The backbone, built when it is first needed: on a warm cache that is after the heads are fitted."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._model: Model | None = None
        record = work.source.backbone
        if record is None or work.source.weights not in ("imagenet", str(work.source.weights_path())):
            self.model  # noqa: B018
        elif work.source.weights == "imagenet" and not work.source.weights_path().is_file():
            self.model  # noqa: B018  the download comes first: the key needs the weights
        self.image_size = self._model.input_shape[1] if self._model else work.spec.image_size or record.image_size  # type: ignore[union-attr]

    @property
    def model(self) -> Model:
        """The backbone, frozen."""
        if self._model is None:
            self._model = self.work.source.build(self.work.spec.image_size)
            freeze(self._model)
        return self._model

    def base(self) -> Base:
        """What its features are cached under."""
        return Base(
            backbone=self.work.source.name,
            weights_sha256=weights_digest(self.work.source.weights_path()),
            image_size=self.image_size,
            pooling=self.work.spec.pooling,
            decode_version=DECODE_VERSION,
        )

    def record(self) -> dict[str, Any]:
        """What run.json says of it."""
        base = self.base()
        return {**self.work.source.record(self.model), "weights_sha256": base.weights_sha256}
