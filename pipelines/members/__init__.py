"""Trains the members of an ensemble in a worker process, on features that they share."""
