"""Native log lines: hidden, shown with `-v` and when an import fails; Python's own lines are always shown."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(script: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh Python whose log level is not the tests' own."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in (path, ROOT) if folder)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, env=environment
    )


@pytest.fixture
def chatty(tmp_path: Path) -> Path:
    """A folder with a stand-in for TensorFlow that talks to descriptor 2 while it is imported."""
    source = """
        import logging, os, sys
        os.write(2, b"chatter\\n")
        print("a bar is drawn meanwhile", file=sys.stderr)
        if os.environ.get("BROKEN"):
            raise ImportError("libsomething.so is missing")
        get_logger = logging.getLogger
    """
    (tmp_path / "tensorflow.py").write_text(textwrap.dedent(source))
    return tmp_path


def test_native_lines_are_hidden_and_python_lines_are_not(chatty: Path) -> None:
    done = python(
        """
        import os
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        quiet_tensorflow()
        import sys, tensorflow
        os.write(2, b"of native code, later\\n")
        print("after", file=sys.stderr)
        assert type(tensorflow.__loader__).__name__ == "SourceFileLoader"
        """,
        path=chatty,
    )
    assert (done.returncode, done.stderr) == (0, "a bar is drawn meanwhile\nafter\n")


def test_verbose_shows_native_lines(chatty: Path) -> None:
    done = python(
        """
        import os
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        quiet_tensorflow(verbose=True)
        import tensorflow
        os.write(2, b"later\\n")
        """,
        path=chatty,
    )
    assert done.stderr.splitlines() == ["a bar is drawn meanwhile", "chatter", "later"]


def test_a_failing_import_shows_native_lines(chatty: Path) -> None:
    done = python(
        """
        import os
        from app.quiet import quiet_tensorflow, separate_stderr
        os.environ["BROKEN"] = "1"
        separate_stderr()
        quiet_tensorflow()
        import tensorflow
        """,
        path=chatty,
    )
    assert done.returncode == 1
    assert "chatter\n" in done.stderr and "libsomething.so is missing" in done.stderr


def test_nothing_of_tensorflow_reaches_the_terminal(tmp_path: Path) -> None:
    done = python(
        f"""
        import sys
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        quiet_tensorflow()
        import keras, numpy as np, tensorflow as tf
        print("ours", file=sys.stderr)
        pixels, labels = np.zeros((8, 8, 8, 3), "float32"), np.arange(8) % 2
        data = tf.data.Dataset.from_tensor_slices((pixels, labels)).cache().batch(4)
        next(iter(data))  # a cache that is not read to its end
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
        for jit in (False, True):
            model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit)
            model.fit(data, epochs=1)
        model.predict(pixels)
        double = tf.function(lambda x: 2 * x)
        for length in range(1, 9):
            double(tf.zeros(length))  # traced again and again
        picture = tf.io.encode_jpeg(np.zeros((64, 64, 3), "uint8")).numpy()
        for broken in (picture[: len(picture) // 2], b"nonsense"):
            try:
                tf.io.decode_image(broken)
            except tf.errors.InvalidArgumentError:
                pass
        model.export({str(tmp_path / "export")!r})
        tf.saved_model.load({str(tmp_path / "export")!r})
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "ours\n")


def test_nothing_of_pillow_reaches_the_terminal(tmp_path: Path) -> None:
    """libtiff writes a line for a strip that is cut short, and Pillow logs one for more samples than it decodes."""
    done = python(
        """
        import io, struct, sys
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        quiet_tensorflow()
        from PIL import Image
        print("ours", file=sys.stderr)
        buffer = io.BytesIO()
        noise = Image.effect_noise((32, 32), 50)
        Image.merge("RGB", [noise] * 3).save(buffer, "TIFF", compression="tiff_lzw")
        whole = buffer.getvalue()
        cut = whole[:-400] + bytes(400)
        samples = whole.index(struct.pack("<HHI", 277, 3, 1)) + 8
        many = whole[:samples] + bytes([9]) + whole[samples + 1 :]
        for damaged in (cut, many):
            try:
                Image.open(io.BytesIO(damaged)).load()
            except (OSError, SyntaxError):
                pass
            else:
                raise AssertionError("this TIFF is read")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "ours\n")


def test_a_crash_in_native_code_leaves_a_traceback(chatty: Path) -> None:
    done = python(
        """
        import os
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        quiet_tensorflow()
        import tensorflow
        os.abort()
        """,
        path=chatty,
    )
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr


@pytest.fixture
def greedy(tmp_path: Path) -> Path:
    """Stand-ins: a TensorFlow that imports a Keras, which imports what is slow where it is installed."""
    (tmp_path / "tensorflow.py").write_text("import keras")
    (tmp_path / "keras.py").write_text(
        textwrap.dedent("""
        import gc
        from types import SimpleNamespace
        collects = gc.isenabled()
        config = SimpleNamespace(disable_interactive_logging=lambda: None)
        try:
            import sklearn
        except ImportError:
            sklearn = None
        """)
    )
    (tmp_path / "sklearn.py").write_text("")
    return tmp_path


def test_keras_is_imported_without_what_headstart_does_not_use_of_it(greedy: Path) -> None:
    done = python(
        """
        import contextlib, gc
        from app.quiet import quiet_tensorflow
        shown = []
        quiet_tensorflow(announce=lambda name: (shown.append(name), contextlib.nullcontext())[1])
        import tensorflow, keras
        assert keras.sklearn is None
        assert (keras.collects, gc.isenabled()) == (False, True)
        assert shown == ["loading TensorFlow"], shown
        import sklearn  # later, and for others, it is there
        """,
        path=greedy,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_another_thread_imports_what_keras_does_without(greedy: Path) -> None:
    (greedy / "tensorflow.py").write_text("from builtins import begun, done\nbegun.set()\nassert done.wait(20)")
    done = python(
        """
        import builtins, threading
        from app.quiet import quiet_tensorflow
        builtins.begun, builtins.done = threading.Event(), threading.Event()
        quiet_tensorflow()
        thread = threading.Thread(target=__import__, args=("tensorflow",))
        thread.start()
        assert builtins.begun.wait(20)
        import sklearn
        builtins.done.set()
        thread.join()
        """,
        path=greedy,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_native_lines_of_two_threads_are_hidden_and_shown_together(chatty: Path) -> None:
    (chatty / "PIL.py").write_text("import os, builtins\nos.write(2, b'chatter of PIL\\n')\nbuiltins.meet.wait(20)")
    (chatty / "tensorflow.py").write_text("import os, builtins\nbuiltins.meet.wait(20)\nos.write(2, b'chatter\\n')")
    script = """
        import builtins, os, threading
        from app.quiet import quiet_tensorflow, separate_stderr
        separate_stderr()
        builtins.meet = threading.Barrier(2)
        quiet_tensorflow(verbose={verbose})
        threads = [threading.Thread(target=__import__, args=(name,)) for name in ("PIL", "tensorflow")]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os.write(2, b"later\\n")
    """
    assert python(script.format(verbose=False), path=chatty).stderr == ""
    shown = python(script.format(verbose=True), path=chatty).stderr.splitlines()
    assert shown == ["chatter of PIL", "chatter", "later"]
