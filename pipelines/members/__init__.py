"""Trains the members of an ensemble in a worker process, on features that they share.

The way in: `member_training`, which trains the members that are missing, and leaves each as a run of its own.
Never here: how members are combined (`ensembles`).
"""
