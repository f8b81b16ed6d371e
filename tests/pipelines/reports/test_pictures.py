"""The pictures of a run: what they show, whatever the names are and however many classes there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.evaluation.metrics import report
from pipelines.report import report as draw_report
from pipelines.reports import pictures
from pipelines.reports.pictures import draw_pictures
from tests.pipelines.reports.made import make_run

HOSTILE = ("<script>", "a $\\frac{1}{2}$ b", "\u202eright to left", "x" * 300, "{}%s", "日本")


def texts_of(figure: object) -> str:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    assert isinstance(figure, Figure)
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def made(labels: list[int], answers: list[int], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.full((len(labels), num_classes), 0.1 / max(num_classes - 1, 1), np.float32)
    probabilities[np.arange(len(labels)), answers] = 0.9
    return probabilities, np.asarray(labels, np.int32)


def test_a_run_gets_three_pictures(tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog", "fox"))
    draw_report(str(run))
    for name in ("confusion.png", "classes.png", "mistakes.png"):
        with Image.open(run / name) as image:
            assert min(image.size) > 150, name
    # The page alone, where it is asked for elsewhere.
    (run / "mistakes.png").unlink()
    draw_report(str(run), out=str(tmp_path / "page.html"))
    assert not (run / "mistakes.png").exists() and not list(tmp_path.glob("*.png"))


def test_names_are_text_whatever_they_are(tmp_path: Path) -> None:
    labels = list(range(len(HOSTILE))) * 2
    predictions = made(labels, [*labels[: len(HOSTILE)], *np.roll(labels[: len(HOSTILE)], 1).tolist()], len(HOSTILE))
    drawn = draw_pictures(tmp_path, report(*predictions, HOSTILE), predictions, [None] * len(labels))
    assert [path.name for path in drawn] == ["confusion.png", "classes.png", "mistakes.png"]


def test_the_matrix_counts_images_by_truth_and_answer() -> None:
    predictions = made([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 0], 3)
    figure = pictures._draw_confusion(report(*predictions, ("cat", "dog", "fox")))
    (axes,) = figure.axes
    shown = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    # (column, row): what was answered, what the image is.
    assert shown == {(0, 0): "1", (1, 0): "2", (1, 1): "2", (0, 2): "1"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "fox"]


def test_of_many_classes_the_most_frequent_confusions_are_shown() -> None:
    names = tuple(f"class {number}" for number in range(1000))
    labels = [*range(1000), 7, 7, 7]
    predictions = made(labels, [*range(1000), 8, 8, 9], 1000)
    figure = pictures._draw_confusion(report(*predictions, names))
    text = texts_of(figure)
    assert "class 7 taken for class 8" in text and "class 7 taken for class 9" in text
    assert text.index("class 7 taken for class 8") < text.index("class 7 taken for class 9")
    assert "the lowest 40 of 1,000 classes" in texts_of(pictures._draw_classes(report(*predictions, names)))


def test_without_mistakes_there_is_no_picture_of_them(tmp_path: Path) -> None:
    predictions = made([0, 1], [0, 1], 2)
    drawn = draw_pictures(tmp_path, report(*predictions, ("cat", "dog")), predictions, [None, None])
    assert [path.name for path in drawn] == ["confusion.png", "classes.png"]


def test_classes_without_images_are_left_out_of_the_recalls() -> None:
    predictions = made([0, 0, 1], [0, 1, 1], 3)
    figure = pictures._draw_classes(report(*predictions, ("cat", "dog", "fox")))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["cat (2)", "dog (1)"], "the lowest recall first"
