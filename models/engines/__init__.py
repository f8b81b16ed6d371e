"""A frozen base compiled to run fast: the table of engines, their trials, and the graphs behind them.

Import `compile_base`, `compile_chosen`, the table `ENGINES` and the records from here.
No file, and no image beyond the sample that engines are measured on.
"""
