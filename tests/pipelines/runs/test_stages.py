"""The label of a stage."""

from __future__ import annotations

from pipelines.runs.stages import Stage


def test_only_blocks_that_are_trained_alone_need_their_name_in_the_label() -> None:
    block = Stage(name="layer-wise", unfreeze="block2", epochs=1, learning_rate=0.1)
    top = Stage(name="fine-tune", unfreeze="2", epochs=1, learning_rate=0.1)
    assert (block.label, top.label) == ("layer-wise block2", "fine-tune")
