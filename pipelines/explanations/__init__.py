"""Maps that show which parts of an image a classifier's score depends on, as arrays and as pictures.

The way in: `pipelines.explain.explain`; a method is an entry of `METHODS` in `methods.py`.
Never here: training, or a claim that a map proves why a network answers as it does.
"""
