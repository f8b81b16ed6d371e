"""Draws the page of a run: values in, one HTML file out that needs nothing else.

The way in: `page.render_page`. Never here: anything that loads a model or computes a score.
"""
