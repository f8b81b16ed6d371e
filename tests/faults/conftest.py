"""The drawn pictures and runs of the pipelines' tests."""

from tests.pipelines.conftest import drawn

__all__ = ["drawn"]
