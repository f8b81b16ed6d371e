"""The verbs of headstart, a module each, and behind them the rooms that they are made of.

Import a verb from here: `from pipelines.train import train`. A verb reads as a story; what it tells is done in rooms.
Never here: anything that prints or reads options (`app`), and layers and networks (`models`).
"""
