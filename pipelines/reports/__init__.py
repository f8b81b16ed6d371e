"""Draws the page of a run: values in, one HTML file out that needs nothing else.

The way in: `page.write_page`, and `drawing.page_drawer` at the end of a training.
Never here: anything that loads a model or computes a score.
"""
