"""Finds pretrained weights in Keras' cache, and whether they can be downloaded, without importing Keras.

headstart adds no cache of its own. A file's name here is the name under which Keras itself stores the file
(its `applications`, version 3.15.1); a test asks every constructor for its name and compares.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from pathlib import Path

from models.errors import UserError
from models.keras_private import application_source
from models.zoo import BACKBONES, Backbone

_TENTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Version of the superblock -> where the size of an offset is, and where three offsets begin: the last is the end.
_HDF5_PLACES = {0: (13, 24), 1: (13, 28), 2: (9, 12), 3: (9, 12)}
_PATIENCE_S = 0.2


def keras_home() -> Path:
    """Keras' folder: $KERAS_HOME, else `~/.keras`, else `/tmp/.keras` where the home folder is read-only."""
    if "KERAS_HOME" in os.environ:
        return Path(os.path.expanduser(os.environ["KERAS_HOME"]))  # pathlib's raises where there is no such home
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp") / ".keras"


def weights_file(backbone: Backbone, image_size: int | None = None) -> Path:
    """Where Keras keeps (or would keep) the ImageNet weights: without top, unless features come from a layer of it.

    Args:
        backbone: which.
        image_size: side of the input in pixels; two MobileNet families have weights per size. None: its own.

    Raises:
        UserError: no weights are published for it.
    """
    family = backbone.family
    if not family.weights_file:
        raise UserError(f"there are no pretrained weights for `{backbone.name}`", "train it with `--weights none`")
    size = image_size or backbone.image_size
    name = (family.top_weights_file if backbone.cut else family.weights_file).format(
        name=backbone.name,
        lower=backbone.constructor.lower(),
        variant=backbone.constructor.removeprefix(family.prefix).lower(),
        alpha=backbone.alpha,
        tenths=_TENTHS.get(backbone.alpha),
        size=size if size in family.weights_sizes else 224,
    )
    return keras_home() / "models" / name


def is_cached(backbone: Backbone, image_size: int | None = None) -> bool:
    """Whether the weights lie in Keras' cache, as a file of the right length. Always False if none are published."""
    return backbone.has_published_weights and _is_whole_hdf5(weights_file(backbone, image_size))


def list_cached(image_size: int | None = None) -> tuple[str, ...]:
    """The backbones whose weights for a size (None: their own) lie in Keras' cache, in the order of the table."""
    return tuple(name for name, backbone in BACKBONES.items() if is_cached(backbone, image_size))


def require_weights(backbone: Backbone, image_size: int | None = None) -> None:
    """Say at once that ImageNet weights cannot be had, where that can be known without trying to download them.

    Takes at most a quarter of a second. Silence is no promise: a slow network is left to the download itself.

    Raises:
        UserError: none are published, the cached file is damaged, the cache cannot be written, or nothing answers
            where Keras would download from.
    """
    if is_cached(backbone, image_size):
        return
    path = weights_file(backbone, image_size)
    if path.exists():
        raise missing_weights_error(backbone, image_size, f"`{path}` is damaged (not HDF5, or cut short): delete it")
    if not _can_be_written(path.parent):
        raise missing_weights_error(
            backbone, image_size, f"`{path.name}` is not in `{path.parent}`, which cannot be written"
        )
    host = _download_host(backbone)
    if host and _unreachable(host):
        raise missing_weights_error(
            backbone, image_size, f"`{path.name}` is not in `{path.parent}` and `{host}` cannot be reached"
        )


def missing_weights_error(backbone: Backbone, image_size: int | None, reason: str) -> UserError:
    """Build the error for missing weights: the reason, the backbones in the cache, and the fixes."""
    there = ", ".join(list_cached(image_size)) or "none"
    return UserError(
        f"no ImageNet weights for `{backbone.name}`: {reason}",
        f"backbones with weights in `{keras_home()}`: {there}; or `--weights FILE`, `--weights none`, "
        "or KERAS_HOME set to a folder whose `models` has the file",
    )


def _is_whole_hdf5(path: Path) -> bool:
    """Whether a file begins with the superblock of HDF5 and is as long as that says (format specification 3.0, II.A).

    h5py would say the same, and needs a quarter of a second to be imported.
    """
    try:
        with path.open("rb") as file:
            beginning, length = file.read(64), os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if not beginning.startswith(_HDF5_SIGNATURE) or len(beginning) < 64:
        return False
    version = beginning[8]
    if version not in _HDF5_PLACES:
        return False
    place_of_size, place_of_end = _HDF5_PLACES[version]
    size = beginning[place_of_size]
    start = place_of_end + 2 * size
    return 0 < int.from_bytes(beginning[start : start + size], "little") <= length


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it does not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _download_host(backbone: Backbone) -> str | None:
    """The host in Keras' own constants, read as text: importing them would import all of Keras."""
    source = application_source(backbone.module)
    if source is None:
        return None
    try:
        address = re.search(r"https://([\w.-]+)/\S*keras", source.read_text(encoding="utf-8"))
    except OSError:
        return None
    return address[1] if address else None


def _unreachable(host: str) -> bool:
    """Whether a connection definitely fails (no such name, no route, refused); False where a proxy may help."""
    from urllib.request import getproxies

    if getproxies():
        return False
    failures: list[OSError] = []

    def connect() -> None:
        try:
            socket.create_connection((host, 443), timeout=_PATIENCE_S).close()
        except TimeoutError:
            pass  # Slow is not unreachable.
        except OSError as error:
            failures.append(error)

    # In a thread, because a name server that does not answer blocks for seconds whatever the timeout.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return bool(failures)
