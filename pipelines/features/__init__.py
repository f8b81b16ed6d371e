"""What a frozen base computes, kept in the cache: extraction, shards, subsets, the choice of engine, boundaries.

Import `extract`, `Features`, `BaseKey`, `Views` and the activations of `boundary` from here.
No head, no label but to carry it along, and no option of the command line.
"""
