"""Which way imports go, and what is too heavy to import before it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Who may import whom; the tests may import everything.
ALLOWED = {"models": {"models"}, "pipelines": {"models", "pipelines"}, "app": {"app", "models", "pipelines"}}
HEAVY = frozenset(
    {"tensorflow", "keras", "numpy", "sklearn", "scipy", "matplotlib", "tensorflow_datasets", "PIL", "pyarrow"}
)
# What is imported before TensorFlow is known to be needed: names are looked up, folders scanned, runs read with these.
LIGHT = (
    "models/engines/records.py",
    "models/engines/table.py",
    "models/errors.py",
    "models/heads.py",
    "models/weights.py",
    "models/zoo.py",
    "pipelines/backbones.py",
    "pipelines/data/csv_file.py",
    "pipelines/data/folders.py",
    "pipelines/data/listing.py",
    "pipelines/data/scan.py",
    "pipelines/data/tfds.py",
    "pipelines/data/tfds_files.py",
    "pipelines/data/walk.py",
    "pipelines/ensembles/methods.py",
    "pipelines/features/remembered_engines.py",
    "pipelines/images/policies.py",
    "pipelines/inference/prediction.py",
    "pipelines/inference/prediction_rows.py",
    "pipelines/inference/write_rows.py",
    "pipelines/members/spec.py",
    "pipelines/runs/examples.py",
    "pipelines/runs/leaderboard.py",
    "pipelines/runs/manifest.py",
    "pipelines/runs/report.py",
    "pipelines/runs/spec.py",
    "pipelines/system/cache.py",
    "pipelines/system/progress.py",
    "pipelines/system/text.py",
    "pipelines/system/versions.py",
    "pipelines/training/backbone.py",
    "pipelines/training/plan.py",
)
MODULES = sorted(path.relative_to(ROOT).as_posix() for package in ALLOWED for path in (ROOT / package).rglob("*.py"))


def imported(path: str, *, at_top: bool) -> dict[str, int]:
    """Top-level package -> line, of what a file imports; `at_top` leaves out functions and `if TYPE_CHECKING`."""
    lines: dict[str, int] = {}

    def walk(node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if at_top:
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) if at_top:
                return
            case ast.Import(names=names):
                lines.update({alias.name.partition(".")[0]: node.lineno for alias in names})
            case ast.ImportFrom(module=module, level=level):
                assert level == 0, f"{path}:{node.lineno}: imports are absolute"
                lines[(module or "").partition(".")[0]] = node.lineno
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path))
    return lines


@pytest.mark.parametrize("path", MODULES)
def test_imports_go_one_way(path: str) -> None:
    package = path.partition("/")[0]
    wrong = {name: line for name, line in imported(path, at_top=False).items() if name in {*ALLOWED, "tests"}}
    wrong = {name: line for name, line in wrong.items() if name not in ALLOWED[package]}
    assert not wrong, f"{path} imports {wrong}: imports go app -> pipelines -> models"


@pytest.mark.parametrize("path", sorted({*LIGHT, *(module for module in MODULES if module.startswith("app/"))}))
def test_light_modules_import_nothing_heavy_at_the_top(path: str) -> None:
    heavy = {name: line for name, line in imported(path, at_top=True).items() if name in HEAVY}
    assert not heavy, f"{path} imports {heavy} before it is needed"


def loaded_by(*lines: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after running `lines`."""
    script = "\n".join(("import contextlib, io, json, sys", *lines, "print(json.dumps(sorted(sys.modules)))"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["--version"], ["train", "nowhere", "--backbone", "nonsense", "--out", "x"]],
    ids=" ".join,
)
def test_what_needs_no_model_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_by(
        "from app.__main__ import run",
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):",
        f"    run({arguments!r})",
    )
    assert not loaded & HEAVY


def test_light_modules_stay_light_through_what_they_import() -> None:
    names = [path.removesuffix(".py").replace("/", ".") for path in LIGHT]
    assert not loaded_by(f"import {', '.join(names)}") & HEAVY
