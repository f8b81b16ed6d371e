"""`headstart train` against a plain script written after the Keras guide: whole processes, the same weights and data.

The data is the real image folder beside the checkout; BENCH_DATA names another. Cold: an empty cache. Warm: the second
training on the same pictures. The two are run in turn, and the ratio is taken pair by pair.
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


def measure() -> list[dict[str, object]]:
    """Seconds and test accuracy of both, and how many times faster headstart is."""
    pairs = int(os.environ.get("BENCH_PAIRS", "1"))
    epochs = int(os.environ.get("BENCH_EPOCHS", "20"))
    data = os.environ.get("BENCH_DATA", str(SHARED / "data" / "clothing"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "keras"
        home.mkdir()
        (home / "models").symlink_to(SHARED / "keras_home" / "models")
        results = [_pair(folder / str(number), home, data, epochs) for number in range(pairs)]
    rows: list[dict[str, object]] = []
    for what in ("guide", "cold", "warm"):
        seconds = [result[what]["seconds"] for result in results]
        ratios = [result["guide"]["seconds"] / result[what]["seconds"] for result in results]
        rows.append(
            {
                "what": {
                    "guide": f"the guide's script, {epochs} epochs",
                    "cold": "headstart, cold cache",
                    "warm": "warm cache",
                }[what],
                "seconds": statistics.median(seconds),
                "test accuracy": statistics.median(result[what]["accuracy"] for result in results),
                "times faster": statistics.median(ratios),
                "pairs": pairs,
            }
        )
    return rows


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
