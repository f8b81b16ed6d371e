"""The engines that can run a frozen base: `ENGINES`, name -> `Engine`. A new engine is one entry.

How fast each is: `tests/benchmarks/engines.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.engines import gpu
from models.engines.source import Run, TracedBase
from models.errors import UserError
from models.machine import has_bfloat16_units

if TYPE_CHECKING:
    from models.arrays import FeatureRows, Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A way to run a frozen base.

    Attributes:
        build: (source, precision) -> function from pixels of `source.shape` (GPU: any batch up to the one returned)
            to features, and the batch that it takes.
        precisions: gives those that it offers on this machine, the one expected fastest first; none where it cannot
            run.
        absent: why it cannot run here: a message and a hint, for a UserError.
        hope: precision -> the greatest rate seen on any network, as a multiple of that of `keras`.
        cost: the time to build it, as a multiple of that of `keras`.
        is_named_when_absent: whether `auto` notes that it cannot run here.
    """

    build: Callable[[TracedBase, str], tuple[Run, int]]
    precisions: Callable[[], tuple[str, ...]]
    absent: tuple[str, str]
    hope: dict[str, float]
    cost: float
    is_named_when_absent: bool = False


def _build_keras(source: TracedBase, precision: str) -> tuple[Run, int]:
    import tensorflow as tf

    traced = source.traced
    return lambda pixels: traced(tf.constant(pixels)).numpy(), source.shape[0]


def _build_tensorflow(source: TracedBase, precision: str) -> tuple[Run, int]:
    from models.engines.graph import function_of, lower

    graph = lower(source.graph) if precision == "bfloat16" else source.graph
    return function_of(graph), source.shape[0]


def _build_openvino(source: TracedBase, precision: str) -> tuple[Run, int]:
    # From the folded graph, not from `model.export`: exported, EfficientNetB0 runs at a quarter of the speed, with
    # transposes and reorders around its convolutions, and building takes three times as long.
    import tempfile

    openvino = import_openvino()
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",  # One batch at a time on all cores.
        # Threads bound to their cores wait for other processes there: a third of the speed is lost.
        "ENABLE_CPU_PINNING": False,
    }
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        # OpenVINO reads a file four times as fast as it walks a graph in Python.
        file = Path(folder) / "base.pb"
        file.write_bytes(source.graph.graph_def.SerializeToString())
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(file), "CPU", hints)

    def run(pixels: Pixels) -> FeatureRows:
        features: FeatureRows = compiled(pixels)[0].copy()  # The next call overwrites it.
        return features

    return run, source.shape[0]


def import_openvino() -> Any:  # a module
    """Import OpenVINO without its telemetry, which reports each import to Google Analytics if nobody opted out.

    Without internet that takes three seconds, and leaves a forked process to end.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how an import is made to fail
    import openvino

    return openvino


def _cpu_precisions() -> tuple[str, ...]:
    return ("bfloat16", "float32") if has_bfloat16_units() else ("float32",)


def _openvino_precisions() -> tuple[str, ...]:
    return _cpu_precisions() if importlib.util.find_spec("openvino") else ()


ENGINES: dict[str, Engine] = {
    "keras": Engine(
        build=_build_keras,
        precisions=lambda: ("float32",),
        absent=("", ""),
        hope={"float32": 1.0},
        cost=1.0,
    ),
    "tensorflow": Engine(
        build=_build_tensorflow,
        precisions=_cpu_precisions,
        absent=("", ""),
        hope={"bfloat16": 3.5, "float32": 2.0},
        cost=2.0,
    ),
    "openvino": Engine(
        build=_build_openvino,
        precisions=_openvino_precisions,
        absent=(
            "the engine `openvino` is not installed",
            "install it with `pip install openvino` where this machine has packages of it, or choose `--engine auto`",
        ),
        hope={"bfloat16": 3.5, "float32": 2.0},
        cost=1.5,
        is_named_when_absent=True,
    ),
    "gpu": Engine(
        build=gpu.build,
        precisions=gpu.precisions,
        absent=(
            "TensorFlow finds no GPU for the engine `gpu`",
            "install `headstart[gpu]` and a driver, or choose `--engine auto`",
        ),
        hope={"bfloat16": 8.0, "float16": 8.0, "float32": 2.0},
        cost=4.0,
    ),
}


def require(engine: Engine) -> tuple[str, ...]:
    """The precisions that an engine offers here.

    Raises:
        UserError: it cannot run here.
    """
    precisions = engine.precisions()
    if not precisions:
        raise UserError(*engine.absent)
    return precisions
