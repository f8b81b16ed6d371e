"""The options of the commands, panel by panel; `panels.py` turns flags into the record of each panel."""
