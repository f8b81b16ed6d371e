"""Finds the backbone of a training, in the table, in a run or in a file, and builds it when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from models.zoo import Backbone
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.manifest import BackboneRecord
from pipelines.runs.read_manifest import backbone_file, read_manifest
from pipelines.training.network_names import (
    FULLY_CONNECTED,
    FULLY_CONNECTED_HINT,
    cut_at,
    find_in_table,
    is_file_name,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    import keras
    from keras import Model

    from pipelines.features.cached import BaseKey
    from pipelines.runs.spec import ConvSpec, NetworkSpec, Pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSource:
    """A backbone before it is built.

    Attributes:
        name: what the user typed.
        backbone: its record in the table; None for a run or a file.
        weights: `imagenet`, `none`, or the path of a weights file; for a run or a file, that of the model.
        ahead: the network, where a thread builds it ahead of its first use; None where `build` does.
    """

    name: str
    backbone: Backbone | None
    weights: str
    ahead: Future[keras.Model] | None = field(default=None, compare=False, repr=False)

    @property
    def is_untrained(self) -> bool:
        """Whether it starts from random weights, so that every layer is to be trained."""
        return self.weights == "none"

    def build(self, image_size: int | None) -> keras.Model:
        """Build it: pixels (batch, size, size, 3) in [0, 255] -> features; a second call may give the same network.

        Raises:
            UserError: the weights are missing or do not fit.
        """
        from models.backbones import build_backbone, load_backbone

        if self.ahead is not None:
            return self.ahead.result()
        if self.backbone is None:
            return load_backbone(Path(self.weights))
        weights = self.weights if self.weights in ("imagenet", "none") else Path(self.weights)
        return build_backbone(self.backbone, weights=weights, image_size=image_size)

    def weights_path(self, image_size: int | None) -> Path:
        """The file of the weights; those of `imagenet` may still have to be downloaded.

        Args:
            image_size: side of the input, pixels, of which two MobileNet families have weights each; None: its own.
        """
        if self.backbone is not None and self.weights == "imagenet":
            from models.weights import weights_file

            return weights_file(self.backbone, image_size)
        return Path(self.weights)

    def block_names(self) -> tuple[str, ...]:
        """The names of its blocks from the input upwards; empty where only the network itself can tell."""
        from models.block_names import block_names

        return () if self.backbone is None else block_names(self.backbone.constructor)

    def record(self, model: keras.Model) -> BackboneRecord:
        """Its record in run.json."""
        return BackboneRecord(name=self.name, weights=self.weights, parameters=int(model.count_params()))


def find_backbone(network: NetworkSpec, conv: ConvSpec, pooling: Pooling = "avg") -> BackboneSource:
    """Look a backbone up; fast, nothing heavy is imported.

    Args:
        network: names the backbone, its weights and the size of the pictures that it will be built for.
        conv: the layers of a small network.
        pooling: `fc6` and `fc7` cut the network at such a layer.

    Raises:
        UserError: the name is unknown, the weights are missing, a small network leaves nothing of such pictures, or the
            network has no such layer.
    """
    name, weights, image_size = network.backbone, network.weights, network.image_size
    path = Path(name)
    if is_file_name(name):
        if pooling in FULLY_CONNECTED:
            raise UserError(
                f"`--pooling {pooling}` is for networks of the table, not for `{name}`", FULLY_CONNECTED_HINT
            )
        return _find_model(name, path, weights)
    backbone = cut_at(find_in_table(name, conv, image_size), pooling, network)
    if weights == "none":
        return BackboneSource(name=name, backbone=backbone, weights="none")
    if weights == "imagenet":
        if not backbone.has_published_weights:
            return BackboneSource(name=name, backbone=backbone, weights="none")
        from models.weights import require_weights

        require_weights(backbone, image_size)
        return BackboneSource(name=name, backbone=backbone, weights="imagenet")
    if not Path(weights).is_file():
        raise UserError(f"no weights file `{weights}`", "give a file, `imagenet` or `none` to --weights")
    return BackboneSource(name=name, backbone=backbone, weights=weights)


def _find_model(name: str, path: Path, weights: str) -> BackboneSource:
    if weights != "imagenet":
        raise UserError(
            f"--weights `{weights}` does not go with a backbone of your own",
            "its weights are in the file: omit --weights",
        )
    if path.is_dir():
        return BackboneSource(name=name, backbone=None, weights=str(backbone_file(path, read_manifest(path))))
    if not path.is_file():
        raise UserError(f"no backbone at `{name}`: no such run or file", "`headstart backbones` lists the names")
    if path.suffix != ".keras":
        raise UserError(f"`{name}` is not a `.keras` file", "save the model with `model.save('name.keras')`")
    return BackboneSource(name=name, backbone=None, weights=name)


class LazyBackbone:
    """The backbone, built when it is first needed: on a warm cache that is after the heads are fitted.

    Attributes:
        source: of the backbone.
        features: of which layers.
        pooling: how a map becomes a vector.
        image_size: side of its square input, pixels.
        fit: how an image is fitted to it.
    """

    def __init__(
        self, source: BackboneSource, *, network: NetworkSpec, pooling: Pooling, features: FeatureLayers = "last"
    ) -> None:
        self.source, self.pooling, self.features, self.fit = source, pooling, features, network.image_fit
        image_size = self._wanted_size = network.image_size
        self._plain: Model | None = None
        self._model: Model | None = None
        backbone = source.backbone
        # The model of a file tells its own size, and the key of features needs weights that are there.
        if backbone is None or (source.weights == "imagenet" and not source.weights_path(image_size).is_file()):
            self.image_size = int(self.plain.input_shape[1])
        else:
            self.image_size = image_size or backbone.image_size

    @property
    def plain(self) -> Model:
        """The backbone, frozen, with the output of its last layer."""
        if self._plain is None:
            from models.freezing import freeze

            self._plain = self.source.build(self._wanted_size)
            freeze(self._plain)
        return self._plain

    @property
    def model(self) -> Model:
        """The same; with `levels` it gives a vector of all levels, those of the last layer first."""
        if self.features == "last":
            return self.plain
        if self._model is None:
            from models.levels import add_levels

            self._model = add_levels(self.plain)
        return self._model

    def has_levels(self) -> bool:
        """Whether there are activations below its last layer."""
        from models.levels import find_levels

        return bool(find_levels(self.plain))

    def count_last(self) -> int:
        """How many of the features of all levels are those of the last layer, which come first."""
        return int(self.plain.output_shape[-1])

    def base(self) -> BaseKey:
        """The key that its features are cached under."""
        from pipelines.features.cached import BaseKey, weights_digest
        from pipelines.images.readable import DECODE_VERSION

        return BaseKey(
            backbone=self.source.name,
            weights_sha256=weights_digest(self.source.weights_path(self._wanted_size)),
            image_size=self.image_size,
            pooling=self.pooling,
            decode_version=DECODE_VERSION,
            features=self.features,
            fit=self.fit,
        )

    def record(self) -> BackboneRecord:
        """Its record in run.json."""
        return replace(self.source.record(self.model), weights_sha256=self.base().weights_sha256)
