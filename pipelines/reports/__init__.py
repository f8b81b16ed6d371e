"""Draws the pages and pictures of runs and audits: values in, files out that need nothing else.

The way in: `drawing` for a run, `compare_page` for several, `audit_page` for an audit.
Never here: anything that loads a model or computes a score.
"""
