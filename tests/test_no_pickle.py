"""Nothing in the program reads or writes pickle, or runs text as code: a file or a message is data alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "models", "pipelines")
# Modules whose files or messages are pickled objects or code objects.
MODULES = frozenset(
    {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "multiprocessing", "shelve"}
)
# Functions and classes that do the same under a harmless module's name.
NAMES = frozenset({"ProcessPoolExecutor", "read_pickle", "to_pickle", "enable_unsafe_deserialization"})
BUILTINS = frozenset({"eval", "exec"})
# Keyword -> the one value that it may have.
KEYWORDS = {"allow_pickle": False, "safe_mode": True}


def violations(path: Path) -> Iterator[tuple[int, str]]:
    """Line and words of whatever in a module reads, writes or needs pickle, or runs text as code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        match node:
            case ast.Import(names=aliases):
                modules = {alias.name.partition(".")[0] for alias in aliases}
                yield from ((node.lineno, f"imports {name}") for name in modules & MODULES)
            case ast.ImportFrom(module=str(module), names=aliases):
                if (name := module.partition(".")[0]) in MODULES:
                    yield node.lineno, f"imports {name}"
                yield from ((node.lineno, f"imports {alias.name}") for alias in aliases if alias.name in NAMES)
            case ast.Attribute(attr=name) if name in NAMES:
                yield node.lineno, f"uses {name}"
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield node.lineno, f"calls {name}()"
            case ast.keyword(arg=str(name), value=value) if name in KEYWORDS:
                if not (isinstance(value, ast.Constant) and value.value is KEYWORDS[name]):
                    yield value.lineno, f"passes {name}={ast.unparse(value)}"
            case ast.Constant(value=str(text)) if text.partition(".")[0] in MODULES:
                yield node.lineno, f"names the module {text}"


def test_nothing_is_pickled_and_no_text_is_run_as_code() -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, words in violations(path)
    ]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("import pickle", "imports pickle"),
        ("import os, dill", "imports dill"),
        ("def f():\n    from joblib import dump", "imports joblib"),
        ("from multiprocessing.pool import Pool", "imports multiprocessing"),
        ("import marshal as data", "imports marshal"),
        ("import shelve", "imports shelve"),
        ("importlib.import_module('pickle')", "names the module pickle"),
        ("np.load(path, allow_pickle=True)", "passes allow_pickle=True"),
        ("np.load(path, allow_pickle=allowed)", "passes allow_pickle=allowed"),
        ("keras.models.load_model(path, safe_mode=False)", "passes safe_mode=False"),
        ("keras.config.enable_unsafe_deserialization()", "uses enable_unsafe_deserialization"),
        ("from concurrent.futures import ProcessPoolExecutor", "imports ProcessPoolExecutor"),
        ("pandas.read_pickle(path)", "uses read_pickle"),
        ("eval('1 + 1')", "calls eval()"),
        ("exec(text)", "calls exec()"),
    ],
)
def test_a_planted_line_is_reported(tmp_path: Path, statement: str, words: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"# pickle\n{statement}\n", encoding="utf-8")
    assert list(violations(path)) == [(2 + statement.count("\n"), words)]


def test_what_only_looks_like_it_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""No pickle here."""\n'
        "np.savez(stream, allow_pickle=False, **arrays)\n"
        "keras.models.load_model(path, safe_mode=True)\n"
        "model.eval()\n"
        "ast.literal_eval(text)\n"
        "eval_step(batch)\n",
        encoding="utf-8",
    )
    assert list(violations(path)) == []
