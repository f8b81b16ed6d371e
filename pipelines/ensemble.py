"""The story of joining runs that were trained apart.

headstart ensemble runs/a runs/b runs/c --out runs/abc
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from pipelines.ensembles.common_images import TrainedRun, common_images
from pipelines.runs.ensemble_spec import EnsembleSpec
from pipelines.runs.examples import Example
from pipelines.runs.folder import open_run, read_split
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.ensembles.member_predictions import Images, MemberPredictions

FEW_IMAGES = 50


def ensemble(spec: EnsembleSpec, *, force: bool = False, reporter: Reporter | None = None) -> Manifest:
    """Join runs to one.

    Classes are matched by name. Weights are fitted on images that validated every member (or that it answered out of
    fold) and trained none.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        reporter: where words and progress go.

    Raises:
        UserError: a run is damaged or unknown, classes do not match, or no image can fit the weights.
    """
    say = reporter or Silent()

    # Everything that can be wrong and needs no TensorFlow.
    members = _read(spec)
    class_names = _classes(members, say)
    fit, test, every = common_images(members, class_names)
    if len(fit) < FEW_IMAGES:
        say.warn(f"only {len(fit):,} validation images: ensemble weights will be unreliable")
    from models.errors import lookup
    from pipelines.ensembles.methods import METHODS

    lookup(METHODS, spec.method, "ensemble method")
    folder, _ = open_run(spec.out, RunRequest(ensemble=spec), force=force)

    # What each member answers, and the model of it.
    from pipelines.ensembles.join import JoinedRun, join
    from pipelines.ensembles.member_predictions import EnsembleRequest, Images
    from pipelines.ensembles.selection import Budget

    images = Images(fit=fit, test=test, every=every, class_names=class_names)
    voters = _voters(members, images, say)

    # One model of them.
    request = EnsembleRequest(
        method=spec.method, seed=spec.seed, budget=Budget(latency_ms=spec.max_latency, size_mb=spec.max_size)
    )
    run = JoinedRun(folder=folder, spec=RunRequest(ensemble=spec), data=members[0].manifest.data)
    return join(voters, images, request, run, reporter=say)


def _read(spec: EnsembleSpec) -> list[TrainedRun]:
    if len(spec.runs) < 2:
        raise UserError(
            "an ensemble is made of at least two runs", "name them: headstart ensemble RUN RUN... --out RUN"
        )
    places = [os.path.realpath(each) for each in spec.runs]
    twice = next((run for run, place in zip(spec.runs, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise UserError(f"the run `{twice}` is given twice", "name each once")
    if os.path.realpath(spec.out) in places:
        raise UserError(f"--out `{spec.out}` is one of the runs to join", "choose another --out")
    members = []
    for run, name in zip(spec.runs, _names(spec.runs), strict=True):
        manifest = read_manifest(run)
        if not (Path(run) / "split.csv").is_file():
            raise UserError(f"the run `{run}` has no `split.csv`", "train it again with --force")
        try:
            examples = read_split(run, manifest.class_names)
            if not examples:
                raise ValueError("no rows")
        except (KeyError, ValueError, csv.Error) as error:
            raise UserError(f"`{run}/split.csv` is damaged", "train the run again with --force") from error
        members.append(TrainedRun(run=run, name=name, manifest=manifest, examples=examples))
    return members


def _names(paths: Sequence[str]) -> list[str]:
    """The last parts of the paths, or as many as it takes to tell them apart."""
    parts = [Path(os.path.realpath(each)).parts for each in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            break
    return names


def _classes(members: Sequence[TrainedRun], say: Reporter) -> tuple[str, ...]:
    """The classes of the ensemble: in the order of the first member that knows all of them."""
    known = {name for each in members for name in each.manifest.class_names}
    whole = next((each for each in members if set(each.manifest.class_names) == known), None)
    if whole is None:
        lacks = [f"`{each.run}` lacks {_listed(known - {*each.manifest.class_names})}" for each in members]
        raise UserError(
            f"no member knows all {len(known)} classes: {'; '.join(lacks)}",
            "join runs that are trained on the same classes, or add one that is trained on all of them",
        )
    for each in members:
        missing = [name for name in whole.manifest.class_names if name not in each.manifest.class_names]
        if missing:
            say.warn(
                f"`{each.run}` does not know {_listed(missing)}: its probability of that is 0, and so it is weighed"
            )
    return whole.manifest.class_names


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(f"`{one_line(name)}`" for name in shown[:5]) + (" ..." if len(shown) > 5 else "")


def _voters(members: Sequence[TrainedRun], images: Images, say: Reporter) -> list[MemberPredictions]:
    from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
    from pipelines.ensembles.methods import rearranged

    bases: dict[Path, Any] = {}
    voters = []
    with say.task("members", len(members)) as task:
        for member in members:
            names = member.manifest.class_names
            columns = tuple(names.index(name) if name in names else None for name in images.class_names)
            model, _ = load_run(member.run, bases)
            fit, test = (
                rearranged(_answers(member, part, examples, say), columns)
                for part, examples in (("validation", images.fit), ("test", images.test))
            )
            one = LoadedMember(
                name=member.name,
                folder=Path(member.run),
                manifest=member.manifest,
                model=model,
                columns=columns,
                fold=None,
                test=test,
            )
            voters.append(MemberPredictions(name=member.name, models=(one,), answers=fit))
            task.advance()
    return voters


def _answers(member: TrainedRun, part: str, examples: Sequence[Example], say: Reporter) -> NDArray[np.float32]:
    """What a member answered on images, in their order: as it kept it, else asked again."""
    import numpy as np

    from pipelines.evaluation.saved_predictions import read_predictions

    kept = read_predictions(member.run, part)
    if kept is not None:
        rows = {each.decode(): place for place, each in enumerate(kept.sha256)}
        if all(each.sha256 in rows for each in examples):
            places = [rows[each.sha256] for each in examples]
            return np.asarray(kept.probabilities[places], np.float32)
    if not examples:
        return np.zeros((0, len(member.manifest.class_names)), np.float32)
    from pipelines.inference.examples import predict_examples
    from pipelines.system.cache import transcoded_file

    readable = [
        replace(each, source=str(png)) if (png := transcoded_file(each.sha256)).is_file() else each for each in examples
    ]
    return predict_examples(member.run, member.manifest, readable, cache=True, reporter=say)[0]
