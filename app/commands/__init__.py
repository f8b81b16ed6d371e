"""The commands of `headstart`: each reads its options, calls one verb of `pipelines` and prints the result.

`app.cli` imports them, for its table of commands.
Nothing heavy enters at the top of a module: verbs and pages are imported inside the command.
"""
