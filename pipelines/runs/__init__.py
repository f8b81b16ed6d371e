"""What a run is: its options, its manifest and its files, all as typed records; no Keras is needed to read them.

Import its modules by name: `layout` says whether a folder holds a run, `read_manifest` reads it, `folder` opens,
finishes and removes one, `spec` and `ensemble_spec` hold what is asked for.
Never here: how anything in a record is computed.
"""
