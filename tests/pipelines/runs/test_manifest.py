"""What a manifest says of its run beyond its fields."""

from __future__ import annotations

from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.manifest import RunRequest
from tests.pipelines.manifests import manifest_with
from tests.specs import train_spec


def test_an_ensemble_takes_any_engine_and_a_single_model_the_one_that_was_asked_for() -> None:
    spec = train_spec(engine="openvino")
    assert manifest_with(spec=RunRequest(train=spec)).engine_asked == "openvino"
    members = MembersSpec(common=spec, backbones=("vgg16",), heads=("linear", "mlp"))
    assert manifest_with(spec=RunRequest(members=members)).engine_asked == "auto"
    joined = EnsembleSpec(runs=("a", "b"), out="ab")
    assert manifest_with(spec=RunRequest(ensemble=joined)).engine_asked == "auto"
