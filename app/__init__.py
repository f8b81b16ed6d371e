"""The command line: options, messages, colours and pages for people, exit codes for scripts.

Nothing of the project imports it: `headstart` starts in `app.__main__`, and each command calls a verb of `pipelines`.
What computes a result never enters, and neither does Keras, TensorFlow or NumPy at the top of a module.
"""
