"""How long a command takes before it says anything: help, errors, one prediction, a thousand predictions.

The last is set against `keras.Model.predict` on an array of the same pictures that lies in memory already.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
ROUNDS = 5


def measure() -> list[dict[str, object]]:
    """Median seconds of whole processes, and images/s where there are images."""
    pictures = sorted((SHARED / "data" / "clothing" / "train").rglob("*.jpg"))[:1000]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keras").mkdir()
        (folder / "keras" / "models").symlink_to(SHARED / "keras_home" / "models")
        os.environ |= {"KERAS_HOME": str(folder / "keras"), "HEADSTART_CACHE": str(folder / "cache")}
        run, listed = folder / "run", folder / "list.txt"
        listed.write_text("\n".join(map(str, pictures)) + "\n")
        _headstart(
            "train", str(SHARED / "data" / "clothing"), "--backbone", "mobilenet_v2", "--heads", "1", "--out", str(run)
        )
        rows = [
            _row("--help", 0, "--help"),
            _row("a wrong backbone", 0, "train", str(folder), "--backbone", "mobilnet", "--out", str(folder / "none")),
            _row("a wrong run", 0, "predict", str(folder / "nothing"), str(pictures[0])),
            _row("predict one image", 1, "predict", str(run), str(pictures[0])),
        ]
        # In turn, so that both meet the same machine.
        ours, theirs = [], []
        for _ in range(3):
            ours.append(_headstart("predict", str(run), str(listed), "--format", "csv"))
            theirs.append(_keras_predict(run, pictures))
    rows.append(_timed(f"predict {len(pictures)} images", ours, len(pictures)))
    rows.append(_timed("Keras predict, array in memory, without start-up", theirs, len(pictures)))
    rows[-2]["against Keras"] = statistics.median(peer / own for peer, own in zip(theirs, ours, strict=True))
    return rows


def _headstart(*arguments: str) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "app", *arguments, "-q"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return time.monotonic() - began


def _row(what: str, images: int, *arguments: str) -> dict[str, object]:
    return _timed(what, [_headstart(*arguments) for _ in range(ROUNDS)], images)


def _timed(what: str, seconds: list[float], images: int) -> dict[str, object]:
    middle = statistics.median(seconds)
    return {"what": what, "seconds": middle, "images/s": images / middle if images else ""}


def _keras_predict(run: Path, pictures: list[Path]) -> float:
    """Seconds that `predict` takes in a process that has loaded model and pixels before."""
    script = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
model = keras.models.load_model(sys.argv[1], compile=False)
pixels = np.random.default_rng(0).uniform(0, 255, (int(sys.argv[2]), *model.input_shape[1:])).astype("float32")
model.predict(pixels[:64], batch_size=32, verbose=0)
began = time.monotonic()
model.predict(pixels, batch_size=32, verbose=0)
print(time.monotonic() - began)
"""
    command = [sys.executable, "-W", "ignore", "-c", script, str(run / "model.keras"), str(len(pictures))]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return float(out.stdout.splitlines()[-1])
