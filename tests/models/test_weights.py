from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from models import weights
from models.errors import UserError
from models.keras_private import DOWNLOAD_FUNCTION, private_module
from models.weights import is_cached, keras_home, list_cached, require_weights, weights_file
from models.zoo import BACKBONES
from tests.models.spread import every

ROOT = Path(__file__).parents[2]


def hdf5(libver: str = "earliest") -> bytes:
    """A small file with one array, as h5py writes it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        file["weights"] = np.arange(1000.0)
    return buffer.getvalue()


HDF5 = hdf5()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Keras folder, and no way to the internet."""
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)

    def no_such_name(*arguments: object, **options: object) -> socket.socket:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", no_such_name)
    return tmp_path


def put(name: str, content: bytes = HDF5) -> None:
    weights_file(BACKBONES[name]).write_bytes(content)


@pytest.mark.parametrize(
    "name", every(("vgg16", "resnet50_v2", "mobilenet_v3_small", "efficientnet_v2_b0"), pretrained_only=True)
)
def test_file_is_the_one_that_keras_asks_for(
    name: str, no_random_numbers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.backbones import build_backbone

    asked: list[tuple[str, str]] = []

    def get_file(fname: str, origin: str, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.append((cache_subdir, fname))
        raise OSError("asked")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(DOWNLOAD_FUNCTION, get_file)
    backbone = BACKBONES[name]
    sizes = (*backbone.family.weights_sizes, 100) if name in ("mobilenet_0.25", "mobilenet_v2_0.35") else (None,)
    for size in sizes:
        with pytest.raises(UserError, match="the download failed: asked"):
            build_backbone(backbone, weights="imagenet", image_size=size)
        wanted = weights_file(backbone, size)
        assert asked[-1] == (wanted.parent.name, wanted.name)
    assert len(asked) == len(sizes)


def test_weights_by_input_size(home: Path) -> None:
    assert weights_file(BACKBONES["mobilenet_0.25"], 160).name == "mobilenet_2_5_160_tf_no_top.h5"
    assert weights_file(BACKBONES["mobilenet_0.25"], 96).name == "mobilenet_2_5_224_tf_no_top.h5"
    assert "_1.0_96_no_top" in weights_file(BACKBONES["mobilenet_v2"], 96).name


def test_keras_home_is_where_keras_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "from models.keras_private import keras_home_at_import; print(keras_home_at_import())"
    for variables in ({"KERAS_HOME": str(tmp_path / "here")}, {"HOME": str(tmp_path)}):
        plain = {key: value for key, value in os.environ.items() if key != "KERAS_HOME"}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=plain | variables, check=True, cwd=ROOT
        )
        monkeypatch.delenv("KERAS_HOME", raising=False)
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        assert str(keras_home()) == done.stdout.strip()


def test_cached_means_a_file_that_begins_like_one(home: Path) -> None:
    assert list_cached() == ()
    put("resnet50")
    put("vgg16", b"<html>404</html>")
    put("vgg19", b"")
    assert list_cached() == ("resnet50",)
    assert not is_cached(BACKBONES["lenet5"])


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
def test_a_file_that_was_cut_short_is_not_cached(home: Path, libver: str) -> None:
    whole = hdf5(libver)
    for length in (len(whole), len(whole) + 5):
        put("resnet50", whole.ljust(length, b" "))
        assert is_cached(BACKBONES["resnet50"])
    for length in (len(whole) - 1, len(whole) // 2, 64, 63, 20, 8):
        put("resnet50", whole[:length])
        with pytest.raises(OSError, match=r"truncated|unable to|Unable to"):  # h5py says the same
            h5py.File(io.BytesIO(whole[:length]), "r")
        assert not is_cached(BACKBONES["resnet50"])
    with pytest.raises(UserError, match="cut short"):
        require_weights(BACKBONES["resnet50"])


def test_a_superblock_that_nobody_knows_is_not_cached(home: Path) -> None:
    put("resnet50", HDF5[:8] + b"\x09" + HDF5[9:])
    assert not is_cached(BACKBONES["resnet50"])


def test_what_is_cached_is_not_asked_for(home: Path) -> None:
    put("resnet50")
    require_weights(BACKBONES["resnet50"])


def test_offline_and_not_cached_is_an_error_with_every_way_out(home: Path) -> None:
    put("mobilenet")
    put("densenet121")
    begin = time.perf_counter()
    with pytest.raises(UserError) as caught:
        require_weights(BACKBONES["resnet50"])
    assert time.perf_counter() - begin < 0.3
    assert "`resnet50`" in caught.value.message
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in caught.value.message
    for words in (str(home), "mobilenet, densenet121;", "--weights none", "--weights FILE", "KERAS_HOME"):
        assert words in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_the_hint_names_what_is_cached_for_the_size_that_is_asked_for(home: Path) -> None:
    put("mobilenet_v2")  # of 224 pixels
    put("densenet121")
    with pytest.raises(UserError) as caught:
        require_weights(BACKBONES["mobilenet_v2"], 96)
    assert "_1.0_96_no_top.h5" in caught.value.message
    assert ": densenet121;" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"], ids=["empty", "a page"])
def test_damaged_file_is_named(home: Path, content: bytes) -> None:
    put("resnet50", content)
    with pytest.raises(UserError, match=r"resnet50_.*_notop\.h5` is damaged .*: delete it"):
        require_weights(BACKBONES["resnet50"])


def test_cache_that_cannot_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = home / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("KERAS_HOME", str(blocked / "keras"))
    monkeypatch.setattr(weights, "_unreachable", lambda host: pytest.fail("there is no need to ask"))
    with pytest.raises(UserError, match="cannot be written"):
        require_weights(BACKBONES["resnet50"])


def test_folder_that_keras_will_make_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(home / "new" / "folder"))
    monkeypatch.setattr(weights, "_unreachable", lambda host: False)
    require_weights(BACKBONES["resnet50"])


@pytest.mark.parametrize("name", ["lenet5", "small_cnn", "googlenet_bn"])
def test_network_without_published_weights(home: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"no pretrained weights for `{name}`"):
        require_weights(BACKBONES[name])


def test_slow_network_is_left_to_the_download(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: object, **options: object) -> socket.socket:
        time.sleep(1)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", slow)
    begin = time.perf_counter()
    require_weights(BACKBONES["resnet50"])
    assert time.perf_counter() - begin < 0.5


def test_proxy_is_left_to_the_download(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:3128"})
    require_weights(BACKBONES["resnet50"])


@pytest.mark.parametrize(
    "name", ["resnet50", "vgg16", "mobilenet_v2", "efficientnet_b0", "convnext_tiny", "nasnet_mobile"]
)
def test_host_is_the_one_in_keras_constants(name: str) -> None:
    import importlib
    from urllib.parse import urlsplit

    backbone = BACKBONES[name]
    module = importlib.import_module(private_module(backbone.module))
    address = next(
        value for key, value in vars(module).items() if isinstance(value, str) and value.startswith("https:")
    )
    assert weights._download_host(backbone) == urlsplit(address).netloc
