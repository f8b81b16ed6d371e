"""Sample reports for the tests of pages, and the lines of a page."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console, RenderableType

from pipelines.evaluation.metrics import report
from pipelines.runs.report import Report


def sample_report(names: list[str], count: int, repeat: int = 1) -> Report:
    """A report on `count * repeat` images, most of them predicted correctly."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % len(names)
    logits = generator.normal(size=(count, len(names)))
    logits[np.arange(count), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return report(np.repeat(probabilities, repeat, 0), np.repeat(labels, repeat), names)


def printed(*parts: RenderableType, width: int = 80) -> list[str]:
    """The lines of a page on a terminal of `width` columns."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    for part in parts:
        console.print(part)
    return stream.getvalue().splitlines()
