"""Trains one model: plans the stages, runs them, and keeps the better of the frozen and the fine-tuned.

The way in: `plan.look_up_names` judges what is asked for before TensorFlow is imported, `execute.execute_plan` does it.
Never here: the loops that change weights (`fitting`), and more than one model (`members`, `ensembles`).
"""
