"""Files are read in a sitting, functions on a screen, and every exception to a rule gives its reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("app", "models", "pipelines") for path in (ROOT / room).rglob("*.py"))
MOST_LINES, MOST_LINES_OF_FUNCTION = 250, 60
# Every marker that switches a check off, and what stands behind it.
SWITCHED_OFF = re.compile(r"#\s*(?:type:\s*ignore|noqa)(?:\[[\w, -]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<reason>.*)")


def long_functions(tree: ast.AST) -> list[str]:
    """The names of functions with too many lines."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_FUNCTION
    ]


def without_reason(source: str) -> list[str]:
    """The lines that switch a check off, end every exception or take Any, and do not say why there or just above."""
    lines = source.splitlines()
    numbers = [
        number
        for number, line in enumerate(lines)
        if (marker := SWITCHED_OFF.search(line)) and not marker["reason"].strip(" #")
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and _ends_every_exception(node):
            numbers.append(node.lineno - 1)
        if isinstance(node, ast.Name) and node.id == "Any":
            numbers.append(node.lineno - 1)
    explained = {number for number, line in enumerate(lines) if "#" in line and not SWITCHED_OFF.search(line)}
    return [lines[number].strip() for number in numbers if not {number, number - 1} & explained]


def _ends_every_exception(handler: ast.ExceptHandler) -> bool:
    assert isinstance(handler.type, ast.Name)
    is_raised_again = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    return handler.type.id in ("Exception", "BaseException") and not is_raised_again


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_a_sitting(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MOST_LINES
    assert long_functions(ast.parse(source)) == []
    assert without_reason(source) == []


@pytest.mark.parametrize(
    ("line", "is_explained"),
    [
        ("x = 1  # type: ignore[attr-defined]", False),
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: E731, F401", False),
        ("try:\n    f()\nexcept Exception:\n    pass", False),
        ("try:\n    f()\nexcept BaseException as error:\n    raise ValueError from error", False),
        ("def f(x: Any) -> None: ...", False),
        ("x: dict[str, Any] = {}", False),
        ("x: Any = f()  # TensorFlow ships no types", True),
        ("x = 1  # type: ignore[attr-defined]  # Keras ships no types", True),
        ("x = 1  # noqa: F401  the import is what counts", True),
        ("try:\n    f()\nexcept Exception:  # whatever a plugin raises\n    pass", True),
        ("try:\n    f()\n# TensorFlow raises what it likes here.\nexcept Exception:\n    pass", True),
        ("try:\n    f()\nexcept BaseException:\n    g()\n    raise", True),
        ("try:\n    f()\nexcept OSError:\n    pass", True),
    ],
)
def test_a_planted_exception_needs_its_reason(line: str, is_explained: bool) -> None:
    assert (without_reason(line) == []) is is_explained


def test_a_planted_long_function_is_found() -> None:
    body = "\n".join(["    pass"] * MOST_LINES_OF_FUNCTION)
    assert long_functions(ast.parse(f"def short():\n{body.removesuffix('    pass')}")) == []
    assert long_functions(ast.parse(f"def long():\n{body}")) == ["long"]
