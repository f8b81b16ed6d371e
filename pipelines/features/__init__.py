"""The features that a frozen base computes, kept in the cache: extraction, shards, remembered engines, boundaries.

Import `extract`, `FrozenBase`, `Features`, `FeatureSubset`, `BaseKey`, `Views` and all of `boundary` from here.
No head and no option of the command line; labels only travel with the features.
"""
