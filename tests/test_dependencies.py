"""What is imported is declared: a package that only comes with another can leave with it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN = {"app", "models", "pipelines", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names_of(requirements: list[str]) -> set[str]:
    """Distribution names, normalised, of requirements such as `headstart[openvino]` or `numpy>=2`."""
    return {normalised(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


EXTRAS = {name: names_of(requirements) for name, requirements in PROJECT["optional-dependencies"].items()}
DECLARED = names_of(PROJECT["dependencies"])
FOR_USERS = DECLARED.union(*(names for extra, names in EXTRAS.items() if extra != "dev"))
FOR_TESTS = FOR_USERS | EXTRAS["dev"]


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level package and line of every import, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name.partition(".")[0], node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0], node.lineno


def undeclared(folder: str, declared: set[str]) -> list[str]:
    distributions = packages_distributions()
    return [
        f"{path.relative_to(ROOT)}:{line}: {package}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for package, line in imported(path)
        if package not in OWN
        and package not in sys.stdlib_module_names
        and not {normalised(name) for name in distributions.get(package, [package])} & declared
    ]


@pytest.mark.parametrize("folder", ["app", "models", "pipelines"])
def test_every_import_of_the_program_is_a_declared_dependency(folder: str) -> None:
    assert undeclared(folder, FOR_USERS) == []


def test_every_import_of_the_tests_is_a_declared_dependency() -> None:
    assert undeclared("tests", FOR_TESTS) == []


def test_what_is_not_declared_is_seen() -> None:
    assert any(line.endswith(": scipy") for line in undeclared("pipelines", FOR_USERS - {"scipy"}))
