"""The files of a run, and whether a folder holds one; imports nothing heavy.

RUN/model.keras   pixels in [0, 255] -> probabilities
RUN/head.keras    instead of it in a member that shares its backbone: features -> probabilities
RUN/run.json      the manifest, written last: a run is complete when it is there
RUN/split.csv     every image with its class, its part, its hash and, where there are any, its group
                  and its near duplicates
RUN/history.csv   one line an epoch
RUN/curves.png    the same as a picture
RUN/augmentation.png
                  what the augmentation policy does to some of the images
RUN/report.html   a page that shows all of it
RUN/confusion.png, RUN/classes.png, RUN/mistakes.png
                  what is taken for what, each class with its interval, the worst mistakes
RUN/answers.npz   the probabilities of the validation and test images
RUN/skipped.csv   images left out, and why
RUN/state/        what an unfinished training needs to resume; gone when the run is complete
RUN/tensorboard/  events, where they were asked for
RUN/members/      runs of the members of an ensemble
RUN/backbones/    networks that members share
"""

from __future__ import annotations

from pathlib import Path

from models.errors import UserError

MANIFEST_FILE, MODEL_FILE, HEAD_FILE, STATE_FOLDER = "run.json", "model.keras", "head.keras", "state"
SPEC_FILE = "spec.json"  # in the state: what was asked for
FORCED_FILE = "begun-with-force"  # in the state, empty
SPLIT_FILE = "split.csv"
SPLIT_COLUMNS = ("path", "label", "split", "sha256")
REPORT_FILE = "report.html"
AUGMENTATION_FILE = "augmentation.png"
CONFUSION_FILE, CLASSES_FILE, MISTAKES_FILE = "confusion.png", "classes.png", "mistakes.png"
GROUP_COLUMN = "group"  # where the data has groups
NEAR_DUPLICATE_COLUMN = "near_duplicate"  # where there are any: the hash that stands for those of an image
# The files that headstart writes into the folder of a run; of older versions too.
RUN_FILES = frozenset(
    {MANIFEST_FILE, MODEL_FILE, HEAD_FILE, SPLIT_FILE, "skipped.csv", "history.csv"}
    | {"answers.npz", "curves.png", "ensemble.png", "heads.npz", REPORT_FILE}
    | {AUGMENTATION_FILE, CONFUSION_FILE, CLASSES_FILE, MISTAKES_FILE}
)


def is_run(folder: str | Path) -> bool:
    """Whether `folder` holds a complete run."""
    return (Path(folder) / MANIFEST_FILE).is_file()


def require_run(folder: str | Path) -> None:
    """Refuse a folder that holds no complete run.

    Raises:
        UserError: says what is there instead.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UserError(
            f"no run at `{folder}`: the folder does not exist", "train one with `headstart train DATA --out RUN`"
        )
    if is_run(folder):
        return
    if (path / STATE_FOLDER).is_dir():
        raise UserError(
            f"the run `{folder}` is not complete: its training was interrupted",
            "type the same `headstart train` command again to resume",
        )
    raise UserError(
        f"`{folder}` is not a run: it has no `{MANIFEST_FILE}`", "a run is what `headstart train` writes to --out"
    )
