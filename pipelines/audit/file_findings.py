"""Finds single files that are unreadable, tiny, huge, long, of one colour, dark, light, blurred or turned by EXIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from pipelines.audit.audited_images import AuditedData, AuditedImage
from pipelines.audit.findings import Finding
from pipelines.audit.kinds import KINDS
from pipelines.system.text import counted

SHORTEST = 32  # pixels: of the shorter side; a network sees ten times as many
MOST_PIXELS = 50_000_000
LONGEST = 4.0  # times as long as wide
LEAST_RANGE = 8.0  # grey levels between the darkest and the lightest 5 %
DARKEST, LIGHTEST = 40.0, 215.0  # grey levels that nearly all pixels are below, or above
# Sharpness: one of 3,781 photographs in a thousand is below 0.14; of those blurred by 4 pixels (of 400 x 533), nine of
# ten are below 0.1.
BLURRED = 0.1
LEAST_SIDE = 64  # pixels of the longer side: a smaller image has no sharpness to speak of
# What holds for more images than this share is the nature of the data, not what is wrong with single images.
LARGEST_SHARE, LEAST_IMAGES = 0.2, 5

# An image -> how much it is so (0: it is not), and figures for people.
Measured: TypeAlias = "tuple[float, str]"
NOT = (0.0, "")


def find_in_files(data: AuditedData) -> tuple[list[Finding], list[str]]:
    """The findings about single files, and notes on what holds for too many to be one.

    Args:
        data: read before.
    """
    names = data.class_names
    label_of = {file.path: names[file.label] for file in data.listing.files}
    findings = [
        Finding(kind="unreadable", path=skipped.path, label=label_of[skipped.path], detail=skipped.reason)
        for skipped in data.skipped
    ]
    notes = []
    for kind, measure in MEASURES.items():
        of_kind = list(_measured(kind, measure, data.images, names))
        if len(of_kind) > max(LEAST_IMAGES, LARGEST_SHARE * len(data.images)):
            images = f"{len(of_kind):,} of {counted(len(data.images), 'image')}"
            notes.append(f"{KINDS[kind].title}: {images}, so that this is how the data is")
        else:
            findings += of_kind
    return findings, notes


def _measured(
    kind: str, measure: Callable[[AuditedImage], Measured], images: Sequence[AuditedImage], names: Sequence[str]
) -> Iterator[Finding]:
    for image in images:
        rank, detail = measure(image)
        if rank > 0:
            yield Finding(kind=kind, path=image.file.path, label=names[image.file.label], detail=detail, rank=rank)


def _tiny(image: AuditedImage) -> Measured:
    shorter = min(image.traits.width, image.traits.height)
    return (1 / shorter, _size(image)) if shorter < SHORTEST else NOT


def _huge(image: AuditedImage) -> Measured:
    pixels = image.traits.width * image.traits.height
    return (float(pixels), f"{_size(image)}, {pixels / 1e6:.0f} megapixels") if pixels > MOST_PIXELS else NOT


def _aspect(image: AuditedImage) -> Measured:
    shorter, longer = sorted((image.traits.width, image.traits.height))
    ratio = longer / shorter
    return (ratio, f"{_size(image)}, 1 to {ratio:.1f}") if ratio > LONGEST else NOT


def _turned(image: AuditedImage) -> Measured:
    orientation = image.traits.orientation
    return (float(orientation), f"EXIF orientation {orientation}") if orientation != 1 else NOT


def _constant(image: AuditedImage) -> Measured:
    light = image.traits.light
    if light is None or light.lightest - light.darkest >= LEAST_RANGE or light.deviation >= LEAST_RANGE / 2:
        return NOT
    return 1 / (1 + light.deviation), f"its grey levels deviate by {light.deviation:.1f} of 255"


def _dark(image: AuditedImage) -> Measured:
    light = image.traits.light
    if light is None or light.lightest > DARKEST or _constant(image) != NOT:
        return NOT
    return 1 / (1 + light.lightest), f"19 of 20 pixels are below grey level {light.lightest:.0f} of 255"


def _light(image: AuditedImage) -> Measured:
    light = image.traits.light
    if light is None or light.darkest < LIGHTEST or _constant(image) != NOT:
        return NOT
    return light.darkest, f"19 of 20 pixels are above grey level {light.darkest:.0f} of 255"


def _blurred(image: AuditedImage) -> Measured:
    light, traits = image.traits.light, image.traits
    if light is None or max(traits.width, traits.height) < LEAST_SIDE or _constant(image) != NOT:
        return NOT
    return (1 / (1e-3 + light.sharpness), f"sharpness {light.sharpness:.3f}") if light.sharpness < BLURRED else NOT


def _size(image: AuditedImage) -> str:
    return f"{image.traits.width} x {image.traits.height} pixels"


MEASURES: dict[str, Callable[[AuditedImage], Measured]] = {
    "constant": _constant,
    "tiny": _tiny,
    "blurred": _blurred,
    "dark": _dark,
    "light": _light,
    "aspect": _aspect,
    "huge": _huge,
    "turned": _turned,
}
