"""How much of what is planted an audit finds, and what it takes: labels, near duplicates, shortcuts, 50,000 images.

The data is the real image folder beside the checkout; BENCH_DATA names another, BENCH_BACKBONE another backbone. One
label of twenty is replaced by another class and a run trained on that; 150 images are stored otherwise; classes are
saved in two JPEG qualities, and labels shuffled. The growth is that of made fingerprints and grey levels, each size in
a process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.audit.audited_images import AuditedData, AuditedImage

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clothing"
ROOT = Path(__file__).resolve().parents[2]
FLIPPED, CHANGED, TRIALS = 0.05, 150, 20
SIZES = (5_000, 20_000, 50_000)
Row = dict[str, object]


def measure() -> list[Row]:
    """A row for each figure."""
    from pipelines.audit.audited_images import read_images
    from pipelines.data.scan import scan
    from pipelines.system.progress import Silent

    data = scan(os.environ.get("BENCH_DATA", str(DATA)))
    began = time.monotonic()
    images = read_images(data, Silent())
    seconds = time.monotonic() - began
    rows = [_row(f"reading and measuring {len(images.images):,} files", seconds, "s")]
    with tempfile.TemporaryDirectory() as folder:
        rows += _labels(images, Path(folder))
        rows += _near_duplicates(images, Path(folder))
        rows += _shortcuts(images, Path(folder))
    return rows + _growth()


def _row(what: str, value: float, unit: str) -> Row:
    return {"what": what, "value": round(value, 4), "unit": unit}


def _labels(data: AuditedData, folder: Path) -> list[Row]:
    """Labels planted in the data: the mean precision of the order of doubt, and what is reported."""
    from sklearn.metrics import average_precision_score

    from pipelines.audit.copies import distinct_places
    from pipelines.audit.neighbours import nearest
    from pipelines.audit.wrong_labels import class_shares, doubt_labels
    from pipelines.audit_data import gather_evidence
    from pipelines.runs.spec import DataSpec, NetworkSpec, TrainSpec
    from pipelines.system.progress import Silent
    from pipelines.train import train

    rng, names = random.Random(1), data.class_names
    flipped = set(rng.sample(range(len(data.images)), round(FLIPPED * len(data.images))))
    given = [
        rng.choice([other for other in range(len(names)) if other != image.file.label])
        if place in flipped
        else image.file.label
        for place, image in enumerate(data.images)
    ]
    table, run = folder / "flipped.csv", str(folder / "run")
    with open(table, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "label", "split"))
        rows.writerows(
            (image.file.path, names[label], image.file.split or "train")
            for image, label in zip(data.images, given, strict=True)
        )
    backbone = os.environ.get("BENCH_BACKBONE", "mobilenet_v2")
    train(TrainSpec(data=DataSpec(path=str(table)), network=NetworkSpec(backbone=backbone), out=run))
    images = tuple(
        replace(image, file=replace(image.file, label=label)) for image, label in zip(data.images, given, strict=True)
    )
    data = replace(data, images=images)
    places = distinct_places(data)
    evidence = gather_evidence(run, data, [images[place] for place in places], Silent())
    labels = np.asarray([given[place] for place in places], np.int32)
    is_flipped = np.asarray([place in flipped for place in places])
    probabilities = np.stack([evidence.prediction_of[images[place].sha256] for place in places])
    shares = None
    if evidence.features is not None:
        shares = class_shares(nearest(evidence.features, 10)[0], labels, len(names))
    rows_of: list[Row] = []
    for way, of_neighbours in (("predictions alone", None), ("predictions and neighbours", shares)):
        doubts = doubt_labels(probabilities, labels, of_neighbours)
        looked_at = np.argsort(-doubts.doubt, kind="stable")[: len(labels) // 10]
        precision = float(average_precision_score(is_flipped, doubts.doubt))
        rows_of += [
            _row(f"planted labels, {way}: average precision", precision, ""),
            _row(
                f"planted labels, {way}: found in the worst tenth", is_flipped[looked_at].sum() / is_flipped.sum(), ""
            ),
            _row(f"planted labels, {way}: found among those reported", doubts.is_wrong[is_flipped].mean(), ""),
            _row(f"planted labels, {way}: share planted of those reported", is_flipped[doubts.is_wrong].mean(), ""),
        ]
    return rows_of


def _changes() -> dict[str, Callable[[Image], Image]]:
    from PIL import ImageEnhance

    def cropped(left: float, right: float) -> Callable[[Image], Image]:
        def crop(image: Image) -> Image:
            width, height = image.size
            return image.crop((round(left * width), round(left * height), round(right * width), round(right * height)))

        return crop

    return {
        "saved at quality 30": lambda image: image,
        "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
        "brighter by 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
        "cropped by 5 %": cropped(0.025, 0.975),
        "cropped by 5 % from a corner": cropped(0, 0.95),
        "cropped by 10 %": cropped(0.05, 0.95),
    }


def _near_duplicates(data: AuditedData, folder: Path) -> list[Row]:
    """Recall of images that are stored otherwise among all, and the pairs that are not planted."""
    from PIL import Image as images

    from pipelines.audit.near_pairs import find_near_pairs

    originals = list({image.sha256: image for image in data.images}.values())
    chosen = random.Random(0).sample(range(len(originals)), min(CHANGED, len(originals)))
    rows, times = [], []
    for name, change in _changes().items():
        paths = []
        for place in chosen:
            path = folder / f"{place}.jpg"
            quality = 30 if "quality" in name else 90
            change(images.open(originals[place].file.path).convert("RGB")).save(path, quality=quality)
            paths.append(path)
        changed = list(_read(paths))
        began = time.monotonic()
        pairs = {(pair.first, pair.second) for pair in find_near_pairs([*originals, *changed], None)}
        times.append(time.monotonic() - began)
        planted = {(place, len(originals) + number) for number, place in enumerate(chosen)}
        rows.append(_row(f"near duplicates, {name}: recall", len(pairs & planted) / len(planted), ""))
    unplanted = sum(second < len(originals) for _, second in pairs)
    rows.append(
        _row(
            f"near duplicates that nobody planted, per 1,000 of {len(originals):,} images",
            1000 * unplanted / len(originals),
            "pairs",
        )
    )
    return [*rows, _row("looking for near duplicates", float(np.median(times)), "s")]


def _read(paths: list[Path]) -> Iterator[AuditedImage]:
    from pipelines.audit.audited_images import read_images
    from pipelines.data.listing import ListedFile, Listing
    from pipelines.system.progress import Silent

    files = tuple(ListedFile(path=str(path), label=0, split=None) for path in paths)
    listing = Listing(root="", origin="csv", class_names=("planted",), files=files)
    yield from read_images(listing, Silent()).images


def _shortcuts(data: AuditedData, folder: Path) -> list[Row]:
    """The test as the data is, with half of the classes saved in another JPEG quality, and on shuffled labels."""
    from PIL import Image as images

    from pipelines.audit.file_traits import trait_columns
    from pipelines.audit.shortcuts import find_shortcuts, judge_traits

    distinct = list({image.sha256: image for image in data.images}.values())
    began = time.monotonic()
    test = find_shortcuts(distinct, [image.sha256 for image in distinct])
    assert test is not None
    rows = [
        _row("shortcuts as the data is: balanced accuracy", test.accuracy, ""),
        _row("looking for shortcuts", time.monotonic() - began, "s"),
    ]
    some = random.Random(0).sample(distinct, min(600, len(distinct)))
    paths: list[Path] = []
    for image in some:
        paths.append(folder / f"q-{len(paths)}.jpg")
        images.open(image.file.path).convert("RGB").save(paths[-1], quality=92 if image.file.label % 2 else 85)
    planted = [
        replace(image, file=replace(image.file, label=one.file.label % 2))
        for image, one in zip(_read(paths), some, strict=True)
    ]
    test = find_shortcuts(planted, [image.sha256 for image in planted])
    assert test is not None
    carrier = test.traits[0].trait if test.traits else "none"
    rows.append(
        _row(f"planted shortcut, JPEG quality 85 and 92 (carrier: {carrier}): balanced accuracy", test.accuracy, "")
    )
    claimed = 0
    for trial in range(TRIALS):
        labels = np.asarray([image.file.label for image in some], np.int32)
        labels = np.unique(np.random.default_rng(trial).permutation(labels), return_inverse=True)[1].astype(np.int32)
        claimed += judge_traits(trait_columns(some, labels), labels).is_claimed
    return [*rows, _row(f"shortcuts claimed on shuffled labels, of {TRIALS} trials", claimed, "")]


def _growth() -> list[Row]:
    """Seconds and peak memory of neighbours and near duplicates as the number of images grows."""
    rows = []
    for size in SIZES:
        command = [sys.executable, "-m", "tests.benchmarks.audit", str(size)]
        out = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        result = json.loads(out.stdout.splitlines()[-1])
        rows += [_row(f"{size:,} made images: {what}", value, unit) for what, value, unit in result]
    return rows


def _grow(size: int) -> list[tuple[str, float, str]]:
    """What one size takes, in this process."""
    from pipelines.audit.audited_images import AuditedImage
    from pipelines.audit.near_pairs import find_near_pairs
    from pipelines.audit.neighbours import nearest
    from pipelines.audit.traits import SMALL, Light, Traits
    from pipelines.data.listing import ListedFile
    from pipelines.images.fingerprint import fingerprint

    rng = np.random.default_rng(0)
    images = []
    for number in range(size):
        coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        small = np.kron(coarse, np.ones((4, 4), np.uint8)).clip(0, 230) + rng.integers(0, 25, (32, 32), dtype=np.uint8)
        light = Light(
            darkest=0, lightest=255, deviation=1, sharpness=1, mean=(0, 0, 0), border=(0, 0, 0), small=small.tobytes()
        )
        traits = Traits(
            num_bytes=1,
            width=SMALL,
            height=SMALL,
            encoding="",
            quantisation=(0, 0),
            camera="",
            orientation=1,
            light=light,
        )
        images.append(
            AuditedImage(
                file=ListedFile(path=str(number), label=0, split=None),
                sha256=f"{number:064x}",
                source="",
                fingerprint=fingerprint(np.repeat(small[..., None], 3, 2)),
                traits=traits,
            )
        )
    before = _peak()
    began = time.monotonic()
    find_near_pairs(images, None)
    near = time.monotonic() - began
    features = rng.standard_normal((size, 1280), np.float32).astype(np.float16)
    began = time.monotonic()
    nearest(features, 10)
    neighbours = time.monotonic() - began
    peak = _peak()
    return [
        ("near duplicates", near, "s"),
        ("neighbours in 1,280 features", neighbours, "s"),
        ("peak memory", peak, "MB"),
        ("before the search", before, "MB"),
    ]


def _peak() -> float:
    """The greatest memory of this process so far, MB; `getrusage` gives that of the one it was forked from."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1000


if __name__ == "__main__":
    print(json.dumps(_grow(int(sys.argv[1]))))
