"""`headstart train` against a plain script written after the Keras guide: whole processes, the same weights and data.

The data is the real image folder beside the checkout; BENCH_DATA names another. Each is trained on all pictures and on
400 of them, where what comes before and after the work counts most. Cold: an empty cache. Warm: the second training on
the same pictures. The two are run in turn, and the ratio is taken pair by pair.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
BACKBONE = "mobilenet_v2"
FEW = 400
# Shares of a few pictures.
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def measure() -> list[dict[str, object]]:
    """Seconds and test accuracy of both, and how many times faster headstart is."""
    pairs = int(os.environ.get("BENCH_PAIRS", "1"))
    epochs = int(os.environ.get("BENCH_EPOCHS", "20"))
    data = os.environ.get("BENCH_DATA", str(SHARED / "data" / "clothing"))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "keras"
        home.mkdir()
        (home / "models").symlink_to(SHARED / "keras_home" / "models")
        few = _link_few(Path(data), folder / "few")
        for pictures, path in ((f"{FEW} pictures", str(few)), ("all pictures", data)):
            results = [_pair(folder / f"{pictures}-{number}", home, path, epochs) for number in range(pairs)]
            rows += _rows(results, pictures, epochs)
    return rows


def _rows(results: list[dict[str, dict[str, float]]], pictures: str, epochs: int) -> list[dict[str, object]]:
    """A row each for the guide's script, a cold and a warm training: medians over the pairs."""
    names = {"guide": f"the guide's script, {epochs} epochs", "cold": "headstart, cold cache", "warm": "warm cache"}
    return [
        {
            "what": what,
            "data": pictures,
            "seconds": statistics.median(result[key]["seconds"] for result in results),
            "test accuracy": statistics.median(result[key]["accuracy"] for result in results),
            "times faster": statistics.median(
                result["guide"]["seconds"] / result[key]["seconds"] for result in results
            ),
            "pairs": len(results),
        }
        for key, what in names.items()
    ]


def _link_few(data: Path, folder: Path) -> Path:
    """A folder with links to `FEW` pictures of `data`, the same every time, as many of each class as of any other."""
    for part, share in PARTS.items():
        classes = sorted(path for path in (data / part).iterdir() if path.is_dir())
        for of_class in classes:
            (folder / part / of_class.name).mkdir(parents=True)
            for file in sorted(of_class.iterdir())[: round(FEW * share / len(classes))]:
                (folder / part / of_class.name / file.name).symlink_to(file)
    return folder


def _pair(folder: Path, home: Path, data: str, epochs: int) -> dict[str, dict[str, float]]:
    folder.mkdir()
    environment = {**os.environ, "KERAS_HOME": str(home), "HEADSTART_CACHE": str(folder / "cache")}
    cold = _headstart(folder / "cold", data, environment)
    warm = _headstart(folder / "warm", data, environment)
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(Path(__file__).with_name("plain_guide.py")),
        data,
        "--epochs",
        str(epochs),
    ]
    began = time.monotonic()
    out = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    guide = json.loads(out.stdout.splitlines()[-1]) | {"seconds": time.monotonic() - began}
    return {"guide": guide, "cold": cold, "warm": warm}


def _headstart(run: Path, data: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "app", "train", data, "--backbone", BACKBONE, "--out", str(run), "-q"]
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True, cwd=ROOT)
    seconds = time.monotonic() - began
    metrics = json.loads((run / "run.json").read_text(encoding="utf-8"))["metrics"]
    return {"accuracy": metrics["test"]["accuracy"], "seconds": seconds}
