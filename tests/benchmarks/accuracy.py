"""Learning curves: how accurate a head is with 5, 10, 30, 100 and all pictures a class, and how calibrated.

The data is the real image folder beside the checkout; BENCH_DATA names another, BENCH_BACKBONE another backbone,
BENCH_SEEDS how many draws of the pictures. Features are computed once. On each draw of the training pictures (the
validation part goes with them, the test part stays whole), the head of `train --features last`, `levels` and `auto`
is chosen and fitted, beside scikit-learn's LogisticRegressionCV on standardised features of the last layer. Seconds are
those of the head alone.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.arrays import Doubles, Indices, Labels, Probabilities
from pipelines.data.check import check
from pipelines.data.folds import pooled
from pipelines.data.scan import scan
from pipelines.evaluation.intervals import paired_bootstrap
from pipelines.evaluation.metrics import calibration_error, losses
from pipelines.features.cached import CLEAN, Features
from pipelines.features.extract import extract
from pipelines.features.subset import FeatureSubset, first_features
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.examples import Dataset
from pipelines.runs.spec import DataSpec, NetworkSpec, TrainSpec
from pipelines.system.progress import Silent
from pipelines.training.feature_layers import find_layers
from pipelines.training.head_stage import predict_features
from pipelines.training.plan import TrainingPlan, look_up_names
from pipelines.training.solved_head import solve_head

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clothing"
SIZES = (5, 10, 30, 100, 0)  # pictures a class; 0 for all
PENALTIES = np.logspace(-4, 2, 7)  # of scikit-learn's regressions, as it names them: their inverse


def measure() -> list[dict[str, object]]:
    """A row for each number of pictures and each kind of head: means over the draws."""
    num_seeds = int(os.environ.get("BENCH_SEEDS", "5"))
    with tempfile.TemporaryDirectory() as name:
        spec = TrainSpec(
            out=name,
            data=DataSpec(path=os.environ.get("BENCH_DATA", str(DATA))),
            network=NetworkSpec(backbone=os.environ.get("BENCH_BACKBONE", "mobilenet_v2")),
        )
        dataset = check(scan(spec.data.path))
        plan = TrainingPlan(spec=spec, names=look_up_names(spec), dataset=dataset, folder=Path(name), reporter=Silent())
        base = find_layers(plan)
        parts = {"train": pooled(dataset), "test": dataset.part("test")}
        extracted = extract(parts, base.frozen, views=dict.fromkeys(parts, CLEAN), augmenter=None, reporter=Silent())
        pool, test = extracted.parts["train"], extracted.parts["test"]
        widths = dict(base.widths(pool.num_features))
        curve = _Curve(plan, pool, test, widths, base.num_last(pool.num_features))
        return [row for size in SIZES for row in curve.rows(size, num_seeds if size else 1)]


class _Curve:
    """Heads on draws of one pool of pictures."""

    def __init__(
        self, plan: TrainingPlan, pool: Features, test: Features, widths: dict[FeatureLayers, int], num_last: int
    ) -> None:
        self.plan, self.pool, self.test = plan, pool, test
        self.widths, self.num_last = widths, num_last

    def rows(self, size: int, num_seeds: int) -> list[dict[str, object]]:
        """Of one number of pictures a class."""
        results: dict[str, list[tuple[Probabilities | Doubles, float]]] = {}
        for seed in range(num_seeds):
            for kind, probabilities, seconds in self._heads(self._draw(size, seed), seed):
                results.setdefault(kind, []).append((probabilities, seconds))
        return [self._row(size, kind, of_kind, results["scikit-learn, last"]) for kind, of_kind in results.items()]

    def _draw(self, size: int, seed: int) -> Indices:
        """Places of so many pictures of each class in the pool, in order."""
        random = np.random.default_rng(seed)
        chosen = [
            random.permutation(np.flatnonzero(self.pool.labels == label))[: size or None]
            for label in range(self.plan.num_classes)
        ]
        return np.sort(np.concatenate(chosen))

    def _heads(self, places: Indices, seed: int) -> Iterator[tuple[str, Probabilities | Doubles, float]]:
        yield self._scikit_learn(places)
        examples = pooled(self.plan.dataset)
        # A tenth stands for the validation part, as in data without parts: cross-validation has it back.
        is_validation = np.arange(len(places)) % 10 == seed % 10
        chosen = [(examples[place], is_out) for place, is_out in zip(places.tolist(), is_validation, strict=True)]
        dataset: Dataset = replace(
            self.plan.dataset,
            has_given_validation=False,
            examples=tuple(replace(example, split="validation" if is_out else "train") for example, is_out in chosen),
        )
        plan = replace(self.plan, dataset=dataset)
        train, validation = (FeatureSubset(self.pool, places[part]) for part in (~is_validation, is_validation))
        sets: dict[str, dict[FeatureLayers, int]] = {name: {name: width} for name, width in self.widths.items()}
        for kind, widths in {**sets, "auto": self.widths}.items():
            began = time.monotonic()
            solved = solve_head(plan, train, validation, widths, num_last=self.num_last)
            assert solved is not None, "these pictures are few enough"
            seconds = time.monotonic() - began
            rows = first_features(self.test, self.widths[solved.features])
            yield kind, predict_features(solved.head, rows), seconds

    def _scikit_learn(self, places: Indices) -> tuple[str, Doubles, float]:
        from sklearn.linear_model import LogisticRegressionCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        began = time.monotonic()
        rows, labels = self.pool.rows(places)[:, : self.num_last], self.pool.labels[places]
        folds = min(5, int(np.bincount(labels).min()))
        regression = LogisticRegressionCV(Cs=PENALTIES, cv=folds, scoring="neg_log_loss", max_iter=300, tol=1e-3)
        fitted = make_pipeline(StandardScaler(), regression).fit(rows, labels)
        seconds = time.monotonic() - began
        tested = self.test.rows(np.arange(len(self.test)))[:, : self.num_last]
        return "scikit-learn, last", np.asarray(fitted.predict_proba(tested), np.float64), seconds

    def _row(
        self,
        size: int,
        kind: str,
        results: list[tuple[Probabilities | Doubles, float]],
        references: list[tuple[Probabilities | Doubles, float]],
    ) -> dict[str, object]:
        labels: Labels = self.test.labels
        correct = np.array([probabilities.argmax(1) == labels for probabilities, _ in results], float)
        others = np.array([probabilities.argmax(1) == labels for probabilities, _ in references], float)
        low, high = paired_bootstrap(correct.mean(0), others.mean(0))
        return {
            "pictures a class": size or "all",
            "head": kind,
            "accuracy": float(correct.mean()),
            "points above scikit-learn": f"{100 * (correct.mean() - others.mean()):+.1f} ({100 * low:+.1f} .. "
            f"{100 * high:+.1f})",
            "log-loss": statistics.mean(float(losses(probabilities, labels).mean()) for probabilities, _ in results),
            "calibration error": statistics.mean(
                calibration_error(probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels)
                for probabilities, _ in results
            ),
            "seconds": statistics.median(seconds for _, seconds in results),
            "draws": len(results),
        }
