"""The rooms of `pipelines/` and the doors between them: who may import whom, and no circle anywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room -> the rooms of `pipelines/` that it may import. What is not listed is closed.
DOORS: dict[str, set[str]] = {
    "system": set(),
    "runs": {"system"},
    "images": {"runs", "system"},
    "data": {"images", "runs", "system"},
    "features": {"images", "runs", "system"},
    "evaluation": {"data", "runs", "system"},
    "fitting": {"features", "evaluation", "runs", "system"},
    "training": {"fitting", "features", "evaluation", "data", "images", "runs", "system"},
    "members": {"training", "fitting", "features", "evaluation", "data", "images", "runs", "system"},
    "inference": {"features", "evaluation", "data", "images", "runs", "system"},
    "demonstration": {"runs", "system"},
    "explanations": {"inference", "images", "runs", "system"},
    "audit": {"evaluation", "data", "images", "runs", "system"},
    "reports": {"audit", "evaluation", "images", "runs", "system"},
    "ensembles": {"members", "inference", "features", "evaluation", "data", "images", "runs", "system"},
}
# Verbs that other verbs may import; every verb may import every room.
IMPORTED_VERBS = {"demo": {"train", "evaluate", "predict", "export", "compare"}}
PACKAGES = ("app", "models", "pipelines")


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement between two modules of the project."""

    module: str
    path: str
    line: int
    imported: str


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module of the three packages."""
    modules = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a module, wherever they stand in it."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def imports(root: Path) -> list[Import]:
    """Every import between modules of the project, those inside functions and under `TYPE_CHECKING` too."""
    known = modules(root)
    imported = []
    for module, path in known.items():
        for node in statements(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
            names: list[str] = []
            match node:
                case ast.Import(names=aliases):
                    names = [alias.name for alias in aliases]
                case ast.ImportFrom(module=str(source), names=aliases):
                    names = [
                        f"{source}.{alias.name}" if f"{source}.{alias.name}" in known else source for alias in aliases
                    ]
            imported += [
                Import(module, path.relative_to(root).as_posix(), node.lineno, name)
                for name in dict.fromkeys(names)
                if name in known and name != module
            ]
    return imported


def room_of(module: str) -> tuple[str, str]:
    """(`room`, its name), (`verb`, its name), or (`package`, its name) outside `pipelines`."""
    parts = module.split(".")
    if parts[0] != "pipelines" or len(parts) == 1:
        return "package", parts[0]
    return ("room", parts[1]) if len(parts) > 2 or (ROOT / "pipelines" / parts[1]).is_dir() else ("verb", parts[1])


def closed_doors(all_imports: list[Import]) -> Iterator[str]:
    """A line for each import that goes through a door that is not in `DOORS`."""
    for one in all_imports:
        (kind, name), (other_kind, other) = room_of(one.module), room_of(one.imported)
        allowed = True
        match kind, other_kind:
            case "room", "room":
                allowed = name == other or other in DOORS.get(name, set())
            case "room", "verb":
                allowed = False
            case "verb", "verb":
                allowed = other in IMPORTED_VERBS.get(name, set())
            case "package", _:
                allowed = name == "app" or (other_kind == "package" and other == name == "models")
            case _, "package":
                allowed = other == "models"
        if not allowed:
            yield f"{one.path}:{one.line}: {name} -> {other} is not an open door ({one.imported})"


def circle(all_imports: list[Import]) -> list[str]:
    """The modules of one circle of imports, in order; empty where there is none."""
    graph: dict[str, set[str]] = {}
    for one in all_imports:
        graph.setdefault(one.module, set()).add(one.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_doors_are_a_table_without_circle() -> None:
    TopologicalSorter(DOORS).prepare()
    folders = {path.parent.name for path in (ROOT / "pipelines").glob("*/__init__.py")}
    assert folders == set(DOORS)


def test_every_import_goes_through_an_open_door() -> None:
    closed = list(closed_doors(imports(ROOT)))
    assert not closed, "\n".join(closed)


def test_no_import_closes_a_circle() -> None:
    all_imports = imports(ROOT)
    ring = circle(all_imports)
    lines = [
        f"{edge.path}:{edge.line} imports {edge.imported}"
        for one, other in pairwise(ring)
        for edge in all_imports
        if {edge.module, edge.imported} == {one, other}
    ]
    assert not ring, " -> ".join(ring) + "\n" + "\n".join(lines)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A small house: three rooms and a verb, all doors as they should be."""
    for path, text in {
        "app/cli.py": "from pipelines import train",
        "models/heads.py": "",
        "pipelines/train.py": "from pipelines.data.scan import scan",
        "pipelines/system/text.py": "import models.heads",
        "pipelines/runs/spec.py": "from pipelines.system import text",
        "pipelines/data/scan.py": "from pipelines.runs.spec import TrainSpec",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(text + "\n")
    return tmp_path


def test_a_house_in_order_is_accepted(planted: Path) -> None:
    assert list(closed_doors(imports(planted))) == []
    assert circle(imports(planted)) == []


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("pipelines/runs/spec.py", "def f():\n    from pipelines.data.scan import scan", "runs -> data"),
        ("pipelines/data/scan.py", "import pipelines.train", "data -> train"),
        ("pipelines/data/scan.py", "if TYPE_CHECKING:\n    from app.cli import main", "data -> app"),
        ("models/heads.py", "from pipelines.system.text import some", "models -> system"),
    ],
)
def test_a_planted_door_is_told_with_file_and_line(planted: Path, path: str, text: str, told: str) -> None:
    (planted / path).write_text(text + "\n")
    (line,) = closed_doors(imports(planted))
    assert line.startswith(f"{path}:{1 + text.count(chr(10))}: {told} ")


def test_a_planted_circle_is_found_inside_functions_too(planted: Path) -> None:
    (planted / "pipelines/system/text.py").write_text("def f():\n    from pipelines.runs import spec\n")
    assert set(circle(imports(planted))) == {"pipelines.system.text", "pipelines.runs.spec"}
