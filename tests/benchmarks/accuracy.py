"""Learning curves: how accurate a head is with 5, 10, 30, 100 and all pictures a class, and how calibrated.

The data is the real image folder beside the checkout; BENCH_DATA names another, BENCH_BACKBONE another backbone,
BENCH_SEEDS how many draws of the pictures, BENCH_HEADS some of the heads. On each draw of the training and validation
pictures (the test part stays whole), the head of `train --features last`, `levels` and `auto` is chosen and fitted,
beside scikit-learn's LogisticRegressionCV on standardised features of the last layer, on the same rows; then
`train --fine-tune 3` on the same pictures. Features are computed once; seconds are those of the head alone, and for
`--fine-tune` those of the whole command.

Every cell goes to `.bench/accuracy.jsonl` as it ends: a benchmark that is stopped continues there, and deleting the
file begins anew. The picture is `.bench/accuracy.png`.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from models.arrays import Indices, Labels
from pipelines.data.check import check
from pipelines.data.folds import pooled
from pipelines.data.scan import scan
from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.features.cached import CLEAN, Features
from pipelines.features.extract import extract
from pipelines.features.subset import FeatureSubset, first_features
from pipelines.fitting.heads import predict_features
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.examples import Dataset
from pipelines.runs.spec import DataSpec, FineTuneSpec, NetworkSpec, TrainSpec
from pipelines.system.progress import Silent
from pipelines.train import train
from pipelines.training.feature_layers import find_layers
from pipelines.training.plan import TrainingPlan, look_up_names
from pipelines.training.solved_head import solve_head
from tests.benchmarks.accuracy_cells import Cell, Place, add_cell, read_cells
from tests.benchmarks.accuracy_report import draw_curves, rows_of

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clothing"
SIZES = (5, 10, 30, 100, 0)  # pictures a class; 0 for all
PROBE, FINE_TUNED = "scikit-learn, last", "--fine-tune 3"
HEADS = (PROBE, "last", "levels", "auto", FINE_TUNED)
PENALTIES = np.logspace(-4, 2, 7)  # of scikit-learn's regressions, as it names them: their inverse
CELLS, PICTURE = Path(".bench/accuracy.jsonl"), Path(".bench/accuracy.png")


def measure() -> list[dict[str, object]]:
    """A row for each number of pictures and each kind of head: means over the draws."""
    data = os.environ.get("BENCH_DATA", str(DATA))
    backbone = os.environ.get("BENCH_BACKBONE", "mobilenet_v2")
    seeds = range(int(os.environ.get("BENCH_SEEDS", "5")))
    chosen = os.environ.get("BENCH_HEADS", ";".join(HEADS)).split(";")
    places = [
        Place(data=data, backbone=backbone, size=size, seed=seed, head=head)
        for heads in ([head for head in HEADS if head != FINE_TUNED], [FINE_TUNED])
        for seed in seeds
        for size in SIZES
        for head in heads
        if head in chosen
    ]
    CELLS.parent.mkdir(exist_ok=True)
    cells = read_cells(CELLS)
    with tempfile.TemporaryDirectory() as folder:
        pictures = _Pictures(data=data, backbone=backbone, folder=Path(folder))
        for place in places:
            if place.key not in cells:
                cells[place.key] = _measure(place, pictures)
                add_cell(CELLS, cells[place.key])
    shown = [cell for cell in cells.values() if (cell.data, cell.backbone) == (data, backbone)]
    draw_curves(shown, HEADS, reference=PROBE, path=PICTURE, title=f"{Path(data).name}, {backbone}")
    return rows_of(shown, HEADS, reference=PROBE)


@dataclass(eq=False)
class _Pictures:
    """The pictures and their features, which are computed when they are first needed.

    Attributes:
        data: the folder of images.
        backbone: its name.
        folder: for what is trained.
    """

    data: str
    backbone: str
    folder: Path

    @cached_property
    def plan(self) -> TrainingPlan:
        """Of a training on all pictures."""
        spec = TrainSpec(
            out=str(self.folder), data=DataSpec(path=self.data), network=NetworkSpec(backbone=self.backbone)
        )
        dataset = check(scan(self.data))
        return TrainingPlan(
            spec=spec, names=look_up_names(spec), dataset=dataset, folder=self.folder, reporter=Silent()
        )

    @cached_property
    def features(self) -> tuple[Features, Features, dict[FeatureLayers, int]]:
        """Those of the pictures that are drawn from and of the test pictures, and how many each set has."""
        base, dataset = find_layers(self.plan), self.plan.dataset
        parts = {"train": pooled(dataset), "test": dataset.part("test")}
        extracted = extract(parts, base.frozen, views=dict.fromkeys(parts, CLEAN), augmenter=None, reporter=Silent())
        pool, test = extracted.parts["train"], extracted.parts["test"]
        return pool, test, dict(base.widths(pool.num_features))

    def draw(self, size: int, seed: int) -> Indices:
        """Places of so many pictures of each class in the training and validation part, in order."""
        random = np.random.default_rng(seed)
        labels = np.array([example.label for example in pooled(self.plan.dataset)])
        chosen = [
            random.permutation(np.flatnonzero(labels == label))[: size or None]
            for label in range(self.plan.num_classes)
        ]
        return np.sort(np.concatenate(chosen))

    @cached_property
    def test_labels(self) -> Labels:
        """(test pictures,) true classes."""
        return np.array([example.label for example in self.plan.dataset.part("test")], np.int32)


def _measure(place: Place, pictures: _Pictures) -> Cell:
    if place.head == FINE_TUNED:
        return _fine_tune(place, pictures)
    return _probe(place, pictures) if place.head == PROBE else _solve(place, pictures)


def _solve(place: Place, pictures: _Pictures) -> Cell:
    """The head of `train --features last`, `levels` or `auto`."""
    pool, test, widths = pictures.features
    places = pictures.draw(place.size, place.seed)
    examples, plan = pooled(pictures.plan.dataset), pictures.plan
    # A tenth stands for the validation part, as in data without parts: cross-validation has it back.
    is_validation = np.arange(len(places)) % 10 == place.seed % 10
    dataset: Dataset = replace(
        plan.dataset,
        has_given_validation=False,
        examples=tuple(
            replace(examples[index], split="validation" if is_out else "train")
            for index, is_out in zip(places.tolist(), is_validation.tolist(), strict=True)
        ),
    )
    plan = replace(plan, dataset=dataset, spec=replace(plan.spec, fit=replace(plan.spec.fit, seed=place.seed)))
    sets = {name: width for name, width in widths.items() if place.head in ("auto", name)}
    train_rows, validation_rows = (FeatureSubset(pool, places[part]) for part in (~is_validation, is_validation))
    began = time.monotonic()
    solved = solve_head(plan, train_rows, validation_rows, sets, num_last=widths["last"])
    assert solved is not None, "these pictures are few enough"
    seconds = time.monotonic() - began
    probabilities = predict_features(solved.head, first_features(test, widths[solved.features]))
    return place.cell(
        probabilities, pictures.test_labels, seconds=seconds, chosen=f"{solved.features}, l2 {solved.l2:g}"
    )


def _probe(place: Place, pictures: _Pictures) -> Cell:
    """scikit-learn's regression, cross-validated and then fitted to all pictures of the draw."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pool, test, widths = pictures.features
    places = pictures.draw(place.size, place.seed)
    began = time.monotonic()
    rows, labels = pool.rows(places)[:, : widths["last"]], pool.labels[places]
    num_folds = min(5, int(np.bincount(labels).min()))
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=place.seed)
    regression = LogisticRegressionCV(Cs=PENALTIES, cv=folds, scoring="neg_log_loss", max_iter=300, tol=1e-3)
    fitted = make_pipeline(StandardScaler(), regression).fit(rows, labels)
    seconds = time.monotonic() - began
    tested = test.rows(np.arange(len(test)))[:, : widths["last"]]
    chosen = f"C {float(np.atleast_1d(regression.C_)[0]):g}"
    return place.cell(fitted.predict_proba(tested), pictures.test_labels, seconds=seconds, chosen=chosen)


def _fine_tune(place: Place, pictures: _Pictures) -> Cell:
    """`train --fine-tune 3` on a list of the pictures without a validation part, as a user would type it."""
    dataset, folder = pictures.plan.dataset, pictures.folder / f"{place.size}-{place.seed}"
    path = folder.with_suffix(".csv")
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        csv.writer(stream).writerows(_listed(dataset, pictures.draw(place.size, place.seed)))
    spec = replace(
        pictures.plan.spec,
        out=str(folder),
        data=DataSpec(path=str(path)),
        fit=replace(pictures.plan.spec.fit, seed=place.seed),
        fine_tune=FineTuneSpec(blocks="3"),
    )
    began = time.monotonic()
    manifest = train(spec)
    seconds = time.monotonic() - began
    saved = read_predictions(folder, "test")
    probabilities = saved.of(dataset.part("test")) if saved else None
    assert probabilities is not None, "a run has predictions of its test part"
    chosen = "fine-tuned" if manifest.stages[-1].kept else "frozen"
    return place.cell(probabilities, pictures.test_labels, seconds=seconds, chosen=chosen)


def _listed(dataset: Dataset, places: Indices) -> Iterator[tuple[str, str, str]]:
    yield "path", "label", "split"
    examples = pooled(dataset)
    for part, chosen in (("train", [examples[place] for place in places.tolist()]), ("test", dataset.part("test"))):
        for example in chosen:
            yield example.path, dataset.class_names[example.label], part
