"""What the command line prints and returns when something goes wrong, as a person and a script see it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import app.cli
from models.errors import UserError
from tests.conftest import Result

ROOT = Path(__file__).resolve().parents[2]
Headstart = Callable[..., Result]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch, headstart: Headstart) -> Callable[..., Result]:
    """Run a command that raises an exception."""

    def command(problem: BaseException, *flags: str) -> Result:
        def fail() -> None:
            """Fail."""
            raise problem

        monkeypatch.setitem(app.cli.COMMANDS, "fail", fail)
        return headstart("fail", *flags)

    return command


def test_user_error_is_two_lines_and_no_traceback(raising: Headstart) -> None:
    result = raising(UserError("no such folder: `photos`", "name one"))
    assert (result.code, result.out, result.err) == (1, "", "error: no such folder: `photos`\nhint: name one\n")


def test_failed_gate_has_its_own_exit_code(raising: Headstart) -> None:
    assert raising(UserError("the export differs", exit_code=3)).code == 3


def test_verbose_adds_the_traceback_of_a_user_error(raising: Headstart) -> None:
    result = raising(UserError("no such folder: `photos`"), "-v")
    assert "Traceback" in result.err
    assert result.err.endswith("error: no such folder: `photos`\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", r"two\nlines"),
        ("caf\udce9", r"caf\xe9"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("abc\u202egpj", r"abc\u202egpj"),
        ("Zürich, 東京 and a no-break\u202fspace", "Zürich, 東京 and a no-break\u202fspace"),
    ],
)
def test_an_error_stays_one_line_whatever_a_file_is_called(raising: Headstart, name: str, shown: str) -> None:
    assert raising(UserError(f"cannot read: `{name}`")).err == f"error: cannot read: `{shown}`\n"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (OSError(errno.ENOSPC, "x", "/data/run.json"), "no space left on the disk: `/data/run.json`"),
        (OSError(errno.EROFS, "x", "/data"), "the file system is read-only: `/data`"),
        (PermissionError(errno.EACCES, "x", b"/caf\xe9"), r"permission denied: `/caf\xe9`"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_a_lack_of_the_machine_is_an_error_with_a_hint(raising: Headstart, problem: Exception, words: str) -> None:
    result = raising(problem)
    error, hint = result.err.splitlines()
    assert (result.code, error) == (1, f"error: {words}")
    assert hint.startswith("hint: ")


def test_a_full_disk_is_not_a_lack_of_memory(raising: Headstart) -> None:
    """TensorFlow raises the same error for both; /dev/full answers every write as a full disk does."""
    import tensorflow as tf

    with pytest.raises(tf.errors.ResourceExhaustedError) as full:
        tf.io.write_file("/dev/full", b"x")
    result = raising(full.value)
    assert (result.code, result.err.splitlines()[0]) == (1, "error: no space left on the disk")
    exhausted = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9,9]")
    assert raising(exhausted).err.startswith("error: not enough memory\n")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("file/below", "a file is where a folder is due: `file/below`"),
        ("folder", "a folder is where a file is due: `folder`"),
        ("loop", "a link leads to itself: `loop`"),
    ],
)
def test_something_else_in_the_place_of_a_file_is_an_error_with_a_hint(
    raising: Headstart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    with pytest.raises(OSError) as caught:
        Path(path).read_bytes()
    result = raising(caught.value)
    assert (result.code, result.err.splitlines()[0]) == (1, f"error: {words}")


def test_a_working_directory_that_is_gone_is_named(
    raising: Headstart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path("file").absolute()
    result = raising(caught.value)
    monkeypatch.chdir(tmp_path)
    assert (result.code, result.err.splitlines()[0]) == (1, "error: the working directory was deleted")
    assert raising(caught.value).code == 70  # somebody else's file


def test_a_user_without_a_home_gets_no_folder_named_like_one(tmp_path: Path) -> None:
    """The user number has no entry in the system's list, and HOME is not set."""
    script = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
os.getuid = lambda: 987654321
import app.__main__ as entry
sys.argv[1:] = ["backbones", "lenet5"]
sys.exit(entry.main())
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "KERAS_HOME")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "loading TensorFlow\n", [])


def test_a_bug_keeps_its_traceback_and_names_the_versions(raising: Headstart) -> None:
    result = raising(ZeroDivisionError("division by zero"))
    assert result.code == 70
    assert "Traceback" in result.err and "ZeroDivisionError: division by zero" in result.err
    assert "please report" in result.err and "tensorflow 2.21" in result.err


def test_an_unexpected_operating_system_error_is_a_bug(raising: Headstart) -> None:
    assert raising(OSError(errno.EIO, "input/output error")).code == 70


def test_interrupted_is_one_line_and_130(raising: Headstart) -> None:
    result = raising(KeyboardInterrupt())
    assert (result.code, result.out, result.err) == (130, "", "interrupted: the same command resumes\n")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["--nonsense"], ["backbones", "--nonsense"], ["-q", "-v", "backbones"], []],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_leaves_stdout_alone(headstart: Headstart, arguments: list[str]) -> None:
    result = headstart(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: headstart")


def test_a_wrong_choice_lists_the_choices(headstart: Headstart) -> None:
    result = headstart("train", "photos", "--out", "run", "--precision", "float8")
    assert result.code == 2
    assert "'--precision': 'float8' is not one of 'auto', 'float32', 'float16', 'bfloat16'." in result.err


def test_verbose_shows_which_variable_set_an_option(headstart: Headstart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_BACKBONES_JSON", "1")
    result = headstart("backbones", "-v")
    assert result.out.startswith("[")
    assert "`--json True` from HEADSTART_BACKBONES_JSON" in result.err


def test_a_reader_that_stops_reading_gets_no_complaint() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "app", "backbones"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_streams_do_not_crash() -> None:
    done = subprocess.run(f"{sys.executable} -m app nonsense 2>&- >&-", shell=True, cwd=ROOT)
    assert done.returncode == 2


def test_stdout_writes_a_path_as_it_is_on_disk_and_escapes_what_the_encoding_lacks() -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import app.__main__ as entry; "
    script += r"sys.argv[1:] = ['--version']; entry.main(); print('caf\udce9 \u00fc')"
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True
    )
    assert done.stdout == b"0.1.0\ncaf\xe9 \\xfc\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["train", "nowhere", "--backbone", "vgg61", "--out", "x"], 1)]
)
def test_a_command_without_a_model_imports_nothing_heavy(arguments: list[str], code: int, tmp_path: Path) -> None:
    # Nothing that takes long to import is: a bare import of Typer takes as long as all else together.
    script = f"import atexit, sys; sys.path.insert(0, {str(ROOT)!r}); import app.__main__ as entry; "
    script += f"sys.argv[1:] = {arguments!r}; code = entry.main(); "
    script += "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules})); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "typer" in loaded
    assert not loaded & {"tensorflow", "keras", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "openvino", "rich"}


def test_a_package_that_hides_one_of_headstart_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import app.__main__ as entry; "
        f"sys.path.insert(0, {str(tmp_path)!r}); sys.exit(entry.main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: headstart's package `models` is hidden: `{tmp_path / 'models'}`")
    assert done.stderr.count("\n") == 2 and "uv tool install" in done.stderr


def test_help_and_errors_load_neither_rich_nor_numpy() -> None:
    commands = [
        ["--help"],
        ["train", "--help"],
        ["nonsense"],
        ["backbones", "resnet51"],
        ["predict", "nowhere", "x.png"],
        ["cache", "--json"],
    ]
    script = f"""
import sys
from app.__main__ import run

for command in {commands!r}:
    run(command)
    assert not {{"rich", "numpy"}} & set(sys.modules), command
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
