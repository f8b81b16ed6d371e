"""The verbs of headstart, a module each, and behind them the rooms that they are made of."""
