"""What explaining 100 pictures with hirescam costs, as a multiple of predicting them: the network alone, and all of it.

BENCH_RUN names a run (a quick one on BENCH_DATA is trained where none is given); BENCH_DATA another folder of images
than the one beside the checkout. Both are warm, and take turns: the figures are ratios of medians.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clothing"
COUNT, ROUNDS, BATCH = 100, 5, 32
Row = dict[str, object]


def measure() -> list[Row]:
    """A row for each figure."""
    data = Path(os.environ.get("BENCH_DATA", DATA))
    paths = [str(path) for path in sorted(data.rglob("*.*"))[::7][:COUNT]]
    with tempfile.TemporaryDirectory() as folder:
        run = os.environ.get("BENCH_RUN") or _trained(str(data), f"{folder}/run")
        return [*_network(run, paths), *_whole(run, paths, folder)]


def _trained(data: str, out: str) -> str:
    from pipelines.runs.spec import DataSpec, NetworkSpec, TrainSpec
    from pipelines.train import train

    train(TrainSpec(out=out, data=DataSpec(path=data), network=NetworkSpec(backbone="mobilenet_v2")))
    return out


def _network(run: str, paths: list[str]) -> list[Row]:
    """One traced function against the other, on the same pixels."""
    from pipelines.explanations.methods import METHODS
    from pipelines.explanations.network import Network
    from pipelines.inference.compiled import compile_saved
    from pipelines.inference.inputs import Input, load
    from pipelines.runs.models import load_run

    model, manifest = load_run(run)
    loaded = [load(Input(path), manifest.square).pixels for path in paths]
    pixels = np.stack([image for image in loaded if image is not None])
    predict = compile_saved(model, None, members=bool(manifest.members))
    explain = METHODS["hirescam"].build(Network(model), None)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]

    def predict_all() -> None:
        for batch in batches:
            predict(batch)

    def explain_all() -> None:
        for batch in batches:
            explain(batch, np.full(len(batch), -1, np.int32))

    return _rows(f"the network alone, {len(pixels)} pictures", predict_all, explain_all)


def _whole(run: str, paths: list[str], folder: str) -> list[Row]:
    """The verbs, from loading the run to the last file."""
    from pipelines.explain import explain
    from pipelines.predict import predict

    def predict_all() -> None:
        list(predict(run, paths)[1])

    def explain_all() -> None:
        explain(run, paths, f"{folder}/out")

    return _rows(f"all of it, {len(paths)} pictures", predict_all, explain_all)


def _rows(what: str, predict: Callable[[], None], explain: Callable[[], None]) -> list[Row]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for place in range(ROUNDS + 1):
        for function, list_ in zip((predict, explain), seconds, strict=True):
            began = time.perf_counter()
            function()
            if place:  # the first round traces and fills the page cache
                list_.append(time.perf_counter() - began)
    medians = [statistics.median(list_) for list_ in seconds]
    return [
        {"what": f"{what}: predict", "value": round(medians[0], 3), "unit": "s"},
        {"what": f"{what}: explain with hirescam", "value": round(medians[1], 3), "unit": "s"},
        {"what": f"{what}: ratio", "value": round(medians[1] / medians[0], 3), "unit": ""},
    ]
