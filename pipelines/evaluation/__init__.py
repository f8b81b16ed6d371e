"""How good predictions are: scores, intervals, calibration, paired comparison, and predictions saved with a run.

Import its modules by name; scores and comparisons come back as the records of `pipelines.runs.report`.
Never here: how predictions are computed from images or features (`inference`), how weights change (`fitting`).
"""
