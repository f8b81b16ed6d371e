"""A TensorFlow dataset as a listing: its encoded images are written out as files once, then it is like any folder."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from models.errors import UserError
from pipelines.data.listing import PART_NAMES, ListedFile, Listing, natural_key, natural_order
from pipelines.runs.examples import Split
from pipelines.system.cache import cache_folder, write_cache_file, writing_to_cache
from pipelines.system.progress import Reporter
from pipelines.system.text import name_list

# Written last: a copy is complete when it is there.
DONE = "complete.json"
IMAGES_A_FOLDER = 10_000
_NAME = re.compile(r"tfds:(?P<name>[a-z0-9_]+(/[a-zA-Z0-9_.\-]+)?)(:(?P<version>[0-9]+\.[0-9]+\.[0-9]+))?")


def read_tfds(data: str, reporter: Reporter) -> Listing:
    """List the images of a TensorFlow dataset.

    The first time, the dataset is prepared by TensorFlow Datasets (from `TFDS_DATA_DIR` or its own folder; downloaded
    when it is not there), and its images are written, encoded as they are, into headstart's cache. An interrupted copy
    is taken up where it stopped. Later only the copy is listed, and TensorFlow is not imported.

    Args:
        data: `tfds:NAME[/CONFIG][:VERSION]`; without a version the newest copy, or what TFDS takes by default.
        reporter: told what is fetched and copied.

    Raises:
        UserError: no such dataset, no `image` and `label` in it, no way to download it, or a full disk.
    """
    matched = _NAME.fullmatch(data)
    if not matched:
        raise UserError(f"`{data}` does not name a TensorFlow dataset", "write `tfds:NAME` or `tfds:NAME:1.0.0`")
    name, version = matched["name"], matched["version"]
    copy = _newest_copy(name, version) or _copy_out(data, name, version, reporter)
    return _listing(data, copy)


def _newest_copy(name: str, version: str | None) -> Path | None:
    folder = cache_folder() / "tfds" / name
    done = [path.parent for path in folder.glob(f"{version or '*.*.*'}/{DONE}")]
    return max(done, key=lambda path: natural_key(path.name), default=None)


def _listing(data: str, copy: Path) -> Listing:
    facts = json.loads((copy / DONE).read_text(encoding="utf-8"))
    names = natural_order(facts["class_names"])
    labels = [names.index(name) for name in facts["class_names"]]
    # Without a second part there is nothing given: the images are divided by content.
    given: dict[str, Split] = {part: PART_NAMES[part] for part in facts["parts"] if part in PART_NAMES}
    divided = len(given) < 2 or "train" not in given
    remarks = list(facts["remarks"])
    if beside := [part for part in facts["parts"] if part not in given]:
        remarks.append(f"not used: the parts {name_list(beside)} of `{data}`")
    entries = tuple(
        ListedFile(path=path, label=labels[label], split=None if divided else split)
        for part, split in given.items()
        for _, label, path in sorted(_copied(copy / part))
    )
    return Listing(root=data, origin="tfds", class_names=tuple(names), entries=entries, remarks=tuple(remarks))


def _copied(folder: Path) -> Iterator[tuple[int, int, str]]:
    """Number, label and path of each image in the copy of a part; files are named `NUMBER-LABEL.img`."""
    for path in folder.glob("*/*.img"):
        number, label = path.stem.split("-")
        yield int(number), int(label), str(path)


def _copy_out(data: str, name: str, version: str | None, reporter: Reporter) -> Path:
    builder = _prepared(data, name, version, reporter)
    features = builder.info.features
    class_names = _class_names(data, features)
    folder = cache_folder() / "tfds" / name / str(builder.version)
    reporter.note(f"copying the images of `{data}` to `{folder}`, once")
    remarks = []
    parts = {part: found.num_examples for part, found in builder.info.splits.items()}
    used = [part for part in parts if part in PART_NAMES]
    if not used:
        raise UserError(f"`{data}` has no part that is train, validation or test", f"it has {name_list(parts)}")
    for part in used:
        unlabelled = _copy_part(builder, part, folder / part, parts[part], reporter)
        if unlabelled:
            remarks.append(f"{unlabelled:,} images of `{data}` in `{part}` have no label and are left out")
    labelled = [part for part in used if any(folder.joinpath(part).glob("*/*.img"))]
    facts = {
        "class_names": class_names,
        "parts": labelled + [part for part in parts if part not in used],
        "remarks": remarks,
        "prepared": str(builder.data_dir),
    }
    write_cache_file(folder / DONE, json.dumps(facts, indent=1).encode())
    return folder


def _prepared(data: str, name: str, version: str | None, reporter: Reporter) -> Any:
    import tensorflow_datasets as tfds

    full = f"{name}:{version}" if version else name
    with _told(data), _quiet():
        builder = tfds.builder(full, data_dir=os.environ.get("TFDS_DATA_DIR"))
        _class_names(data, builder.info.features)
        if not builder.is_prepared():
            reporter.note(f"preparing `{data}` in `{builder.data_dir}`: {builder.info.download_size} to download")
            tfds.disable_progress_bar()
            builder.download_and_prepare()
    return builder


@contextmanager
def _told(data: str) -> Iterator[None]:
    """Turn what TFDS raises (there is no common type) into one line."""
    import tensorflow_datasets as tfds

    try:
        yield
    except UserError:
        raise
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(
            f"there is no TensorFlow dataset `{data}`", "see `tfds.list_builders()`; for a folder leave `tfds:` out"
        ) from error
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise UserError(
            f"`{data}` cannot be prepared: {type(error).__name__}: {lines[0] if lines else 'no details'}",
            "prepare it on a machine with internet, and set TFDS_DATA_DIR to the folder it is in",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TFDS prints off stdout, which is for data, and its remarks on missing side files off stderr."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(before)


def _class_names(data: str, features: Any) -> list[str]:
    import tensorflow_datasets as tfds

    found = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = found.get("image"), found.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise UserError(
            f"`{data}` is no set of labelled images: it has no image `image` with a class `label`",
            f"it has {name_list(found) or type(features).__name__}",
        )
    return list(label.names)


def _copy_part(builder: Any, part: str, folder: Path, total: int, reporter: Reporter) -> int:
    """Write the encoded images of a part; those already there are passed over. Returns how many have no label."""
    import tensorflow_datasets as tfds

    there = {number for number, _, _ in _copied(folder)}
    # One shard after the other and no shuffling: the numbers mean the same images when a copy is taken up again.
    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    read = builder.as_dataset(
        split=part, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False, read_config=order
    )
    unlabelled = 0
    with reporter.task(f"copying {part}", total) as task:
        for number, example in enumerate(read.as_numpy_iterator()):
            label = int(example["label"])
            task.advance()
            if label < 0:
                unlabelled += 1
            elif number not in there:
                place = folder / f"{number // IMAGES_A_FOLDER:04d}" / f"{number:08d}-{label}.img"
                write_cache_file(place, example["image"])
    with writing_to_cache():
        folder.mkdir(parents=True, exist_ok=True)
    return unlabelled
