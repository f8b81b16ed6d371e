"""Join members that are trained to one run: fitted on what they answered to images none of them was trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.ensemble import combine
from models.fusing import Columns
from models.pools import Stack
from pipelines import runs
from pipelines.calibration import fit_temperature
from pipelines.ensemble_picture import PICTURE, draw_ensemble
from pipelines.folds import over_folds
from pipelines.joining import Joint, disagreement, fit, pooled
from pipelines.judged import save_answers
from pipelines.leaderboard import Leaderboard, MemberRow, Verdict
from pipelines.metrics import losses, paired_bootstrap, report, wilson
from pipelines.progress import Reporter
from pipelines.selection import Budget, Cost, affordable
from pipelines.specs import Example
from pipelines.versions import versions

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float64]
TIMED_IMAGES, TIMED_REPEATS = 8, 3
AGREEMENT_IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """One model that is to be joined.

    Attributes:
        name: of it.
        folder: of its run.
        manifest: of it.
        model: of it.
        columns: its own number of each class of the ensemble; None for a class that it does not know.
        fold: that validated it.
        test: (images, classes) what it answers on the test images, in the ensemble's classes.
    """

    name: str
    folder: Path
    manifest: runs.Manifest
    model: keras.Model
    columns: Columns
    fold: int | None
    test: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voter:
    """What gets one weight: a model, or the models of all folds, which answer for each other's images.

    Attributes:
        name: of it.
        models: one, or one a fold.
        answers: (images, classes) on the images that the weights are fitted on.
        folds: (images,) the fold that held each of them out; None without folds.
    """

    name: str
    models: tuple[Joined, ...]
    answers: Floats
    folds: NDArray[np.int64] | None = None

    @property
    def test(self) -> Floats:
        """(images, classes) on the test images."""
        return np.mean([each.test for each in self.models], axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How members are to be joined.

    Attributes:
        method: a name of `pipelines.joining.METHODS`.
        budget: what the ensemble may cost.
        seed: of what is drawn.
        votes: weights of the voters, given by boosting, for the method `vote`; None for equal ones.
    """

    method: str = "greedy"
    budget: Budget = Budget()  # noqa: RUF009  frozen
    seed: int = 0
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """What an ensemble is fitted and judged on.

    Attributes:
        fit: images that no member was trained on.
        test: images that decided nothing; may be empty.
        every: all images with the part that they had for the members.
        class_names: that the labels index.
    """

    fit: tuple[Example, ...]
    test: tuple[Example, ...]
    every: tuple[Example, ...]
    class_names: tuple[str, ...]


def join(
    voters: Sequence[Voter],
    images: Images,
    folder: Path,
    wish: Wish,
    *,
    spec: dict[str, Any],
    data: dict[str, Any],
    notes: Sequence[str] = (),
    seconds: dict[str, float] | None = None,
    reporter: Reporter,
) -> runs.Manifest:
    """Join members, judge the result, and complete the run in `folder`.

    Args:
        voters: at least one.
        images: what it is fitted and judged on.
        folder: of the run, opened by `runs.open_new`.
        wish: how to join.
        spec: for the manifest: what was asked for.
        data: for the manifest: what the images are.
        notes: for the manifest.
        seconds: for the manifest: phases before this one.
        reporter: where words and progress go.

    Raises:
        UserError: no member fits the budget, or the method needs other images.
    """
    started = time.monotonic()
    labels = np.asarray([each.label for each in images.fit], np.int32)
    test_labels = np.asarray([each.label for each in images.test], np.int32)

    # Which members, and their weights.
    answers = np.stack([each.answers for each in voters])
    costs = _costs(voters, reporter)
    taken = _within(answers, labels, costs, wish)
    joint = _fit(answers[taken], labels, wish, taken)
    models, model_joint = _spread(joint, [voters[place] for place in taken])

    # One model, held to what its members' answers foretold.
    model = combine(
        [each.model for each in models],
        None if model_joint.stack is not None else model_joint.weights,
        method=joint.pool,
        columns=[each.columns for each in models],
        stack=model_joint.stack,
        temperature=joint.temperature,
    )
    runs.save_model(model, folder)
    judged = {"validation": (pooled(answers[taken], joint).astype(np.float32), labels)}
    if images.test:
        judged["test"] = pooled(np.stack([each.test for each in models]), model_joint).astype(np.float32), test_labels
    part = "test" if images.test else "validation"
    # Out-of-fold answers are not what all folds' models together say: only others can be compared.
    seen = None if part == "validation" and voters[0].folds is not None else judged[part][0]
    agreement = _agreement(model, images.test or images.fit, seen)

    # What the user reads.
    leaderboard = _leaderboard(voters, taken, joint, labels, judged, costs, model, folder)
    draw_ensemble(leaderboard, folder / PICTURE)
    save_answers(folder, judged, {"validation": images.fit, "test": images.test})
    _write_split(folder, images)
    manifest = runs.Manifest(
        class_names=images.class_names,
        image_size=int(model.input_shape[1]),
        backbone={
            "name": " + ".join(dict.fromkeys(str(each.manifest.backbone["name"]) for each in models)),
            "weights": "of its members",
            "parameters": int(model.count_params()),
        },
        head={"name": "ensemble", "pooling": "of its members"},
        spec=spec,
        data=data,
        metrics={name: report(*each, images.class_names).to_json() for name, each in judged.items()},
        stages=(),
        notes=tuple(notes),
        seconds={**(seconds or {}), "join": round(time.monotonic() - started, 2)},
        versions=versions(),
        members=tuple(asdict(each) for each in leaderboard.members),
        extra={
            "leaderboard": asdict(leaderboard),
            "bases": _bases(models, model_joint, model),
            "agreement": agreement,
            "order": [each.name for each in models],
        },
    )
    runs.finish(folder, manifest)
    return manifest


def _within(answers: Floats, labels: NDArray[np.int32], costs: Sequence[Cost], wish: Wish) -> list[int]:
    if wish.budget == Budget():
        return list(range(len(answers)))
    return list(affordable(answers[:, np.arange(len(labels)), labels], costs, wish.budget))


def _fit(answers: Floats, labels: NDArray[np.int32], wish: Wish, taken: Sequence[int]) -> Joint:
    if wish.votes is None or wish.method != "vote":
        return fit(answers, labels, method=wish.method, seed=wish.seed)
    votes = np.asarray(wish.votes, np.float64)[list(taken)]
    joint = Joint(method="vote", pool="vote", weights=tuple(float(each) for each in votes / votes.sum()))
    temperature = fit_temperature(pooled(answers, joint), labels, seed=wish.seed)
    return Joint(method="vote", pool="vote", weights=joint.weights, temperature=temperature)


def _spread(joint: Joint, voters: Sequence[Voter]) -> tuple[list[Joined], Joint]:
    """The models that have a weight, and how they are joined: those of one voter share its weight."""
    models: list[Joined] = []
    weights: list[float] = []
    blocks: list[NDArray[Any]] = []
    for place, (voter, weight) in enumerate(zip(voters, joint.weights, strict=True)):
        if weight == 0 and joint.stack is None:
            continue
        count, classes = len(voter.models), voter.answers.shape[1]
        models += voter.models
        weights += [weight / count] * count
        if joint.stack is not None:
            blocks += [joint.stack.kernel[place * classes : (place + 1) * classes] / count] * count
    stack = joint.stack and Stack(kernel=np.concatenate(blocks).astype(np.float32), bias=joint.stack.bias)
    return models, replace(joint, weights=tuple(weights), stack=stack)


def _costs(voters: Sequence[Voter], reporter: Reporter) -> list[Cost]:
    """What each voter costs; each backbone is timed once."""
    times: dict[str, float] = {}
    found = []
    with reporter.task("timing", len(voters)) as task:
        for voter in voters:
            keys = [_key(each) for each in voter.models]
            for key, each in zip(keys, voter.models, strict=True):
                if key not in times:
                    times[key] = milliseconds(each.model)
            heads = [_head_mb(each) for each in voter.models]
            whole = {key: _mb(each) - head for key, each, head in zip(keys, voter.models, heads, strict=True)}
            found.append(
                Cost(
                    backbone=keys[0] if len(whole) == 1 else voter.name,
                    backbone_ms=sum(times[key] for key in whole),
                    backbone_mb=sum(whole.values()),
                    head_mb=sum(heads),
                )
            )
            task.advance()
    return found


def _key(one: Joined) -> str:
    """What members on one backbone share."""
    backbone = one.manifest.backbone
    if backbone.get("weights_sha256") is None:
        return str(one.folder)
    return f"{backbone['weights_sha256']} {one.manifest.image_size} {one.manifest.head['pooling']}"


def milliseconds(model: keras.Model) -> float:
    """Milliseconds an image that a model takes on this machine, as `predict` runs it: the best of several."""
    import tensorflow as tf

    call = tf.function(lambda pixels: model(pixels, training=False))
    pixels = tf.zeros((TIMED_IMAGES, *model.input_shape[1:]))
    np.asarray(call(pixels))
    times = []
    for _ in range(TIMED_REPEATS):
        began = time.perf_counter()
        np.asarray(call(pixels))
        times.append(time.perf_counter() - began)
    return 1000 * min(times) / TIMED_IMAGES


def _mb(one: Joined) -> float:
    files = runs.model_files(one.folder, one.manifest)
    return sum(each.stat().st_size for each in files) / 1e6


def _head_mb(one: Joined) -> float:
    head = next((layer for layer in one.model.layers if layer.name == "head"), None)
    return 0.0 if head is None else 4e-6 * head.count_params()


def _agreement(model: keras.Model, examples: Sequence[Example], foretold: NDArray[np.float32] | None) -> dict[str, Any]:
    """Compare what the joined model says of pixels with what its members' answers foretold, on a few images."""
    from pipelines.batches import pixel_batches
    from pipelines.fit_network import answers

    if foretold is None:
        return {}
    numbers = list(range(0, len(examples), max(1, len(examples) // AGREEMENT_IMAGES)))[:AGREEMENT_IMAGES]
    batches = pixel_batches([examples[each] for each in numbers], size=int(model.input_shape[1]), batch=len(numbers))
    exact, _ = answers(model, batches)
    return {
        "images": len(numbers),
        "top1_agreement": float((exact.argmax(1) == foretold[numbers].argmax(1)).mean()),
        "max_difference": round(float(np.abs(exact - foretold[numbers]).max()), 5),
    }


def _leaderboard(
    voters: Sequence[Voter],
    taken: Sequence[int],
    joint: Joint,
    labels: NDArray[np.int32],
    judged: dict[str, tuple[NDArray[np.float32], NDArray[np.int32]]],
    costs: Sequence[Cost],
    model: keras.Model,
    folder: Path,
) -> Leaderboard:
    weights = dict(zip(taken, joint.weights, strict=True))
    rows = [
        _row(voter, one, weights.get(place, 0.0) / len(voter.models), labels, costs[place], folder)
        for place, voter in enumerate(voters)
        for one in voter.models
    ]
    scores = [
        (float((each.answers.argmax(1) == labels).mean()), -losses(each.answers, labels).mean()) for each in voters
    ]
    best = max(range(len(voters)), key=lambda place: scores[place])
    part = "test" if "test" in judged else "validation"
    mine, truth = judged[part]
    other = voters[best].test if part == "test" else voters[best].answers
    ms = milliseconds(model)
    verdict = Verdict(
        part=part,
        images=len(truth),
        best=voters[best].name,
        accuracy=(float((mine.argmax(1) == truth).mean()), float((other.argmax(1) == truth).mean())),
        log_loss=(float(losses(mine, truth).mean()), float(losses(other, truth).mean())),
        ms=(ms, costs[best].backbone_ms + costs[best].head_ms),
        difference=paired_bootstrap(mine.argmax(1) == truth, other.argmax(1) == truth),
    )
    return Leaderboard(
        method=joint.method,
        temperature=joint.temperature,
        members=tuple(sorted(rows, key=lambda row: (-row.accuracy, row.log_loss))),
        names=tuple(each.name for each in voters),
        disagreement=tuple(tuple(row) for row in disagreement([each.answers for each in voters]).tolist()),
        verdict=verdict,
        folds=_over_folds(voters[0].folds, judged["validation"][0], labels),
        ms=ms,
        mb=(folder / runs.MODEL).stat().st_size / 1e6,
    )


def _row(voter: Voter, one: Joined, weight: float, labels: NDArray[np.int32], cost: Cost, folder: Path) -> MemberRow:
    mine = slice(None) if voter.folds is None or one.fold is None else voter.folds == one.fold
    right = voter.answers[mine].argmax(1) == labels[mine]
    loss = losses(voter.answers[mine], labels[mine]).mean()
    return MemberRow(
        name=one.name,
        path=_relative(one.folder, folder),
        backbone=str(one.manifest.backbone["name"]),
        head=str(one.manifest.head["name"]),
        seed=one.manifest.spec.get("seed"),
        fold=one.fold,
        weight=weight,
        images=len(right),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)),
        log_loss=float(loss),
        ms=cost.backbone_ms,
        mb=_mb(one),
    )


def _relative(path: Path, folder: Path) -> str:
    import os

    return os.path.relpath(path.absolute(), folder.absolute())


def _over_folds(
    folds: NDArray[np.int64] | None, answers: NDArray[np.float32], labels: NDArray[np.int32]
) -> dict[str, Any]:
    if folds is None:
        return {}
    parts = [folds == number for number in np.unique(folds)]
    right, loss = answers.argmax(1) == labels, losses(answers, labels)
    return {
        name: asdict(over_folds([float(each[part].mean()) for part in parts]))
        for name, each in (("accuracy", right), ("log_loss", loss))
    }


def _bases(models: Sequence[Joined], joint: Joint, model: keras.Model) -> list[dict[str, Any]]:
    """The frozen bases of the joined model and the layers where they end, so that cached features can stand in.

    Empty where a member has none, or where the layers are others than those expected.
    """
    found: dict[str, dict[str, Any]] = {}
    backbones: dict[tuple[str, int], str] = {}
    for one in models:
        backbone = one.manifest.backbone
        if backbone.get("weights_sha256") is None:
            return []
        weights = (str(backbone["weights_sha256"]), one.manifest.image_size)
        named = backbones.setdefault(weights, f"backbone_{len(backbones) + 1}")
        found.setdefault(
            _key(one),
            {
                "backbone_layer": named,
                "pooling_layer": f"pooling_{len(found) + 1}",
                "backbone": str(backbone["name"]),
                "weights_sha256": weights[0],
                "image_size": one.manifest.image_size,
                "pooling": str(one.manifest.head["pooling"]),
                "engine": str(one.manifest.spec.get("engine", "auto")),
            },
        )
    names = {layer.name for layer in model.layers if layer.name.startswith(("backbone_", "pooling_"))}
    expected = {each[layer] for each in found.values() for layer in ("backbone_layer", "pooling_layer")}
    return list(found.values()) if names == expected else []


def _write_split(folder: Path, images: Images) -> None:
    rows = ((each.path, images.class_names[each.label], each.split, each.sha256) for each in images.every)
    runs.write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)
