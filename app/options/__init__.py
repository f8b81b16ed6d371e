"""The options of the commands, panel by panel; `panels.py` turns flags into the record of each panel.

Import the panels and the annotated types of single options; they import no TensorFlow, so that help is quick.
Never here: what an option does.
"""
