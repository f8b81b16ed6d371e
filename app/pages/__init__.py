"""The pages that commands print: tables and text for people, at most 80 columns wide.

Commands import pages from here, when they have something to print; pages share `tables`.
Nothing that computes a result, and nothing that needs Keras or NumPy, ever enters.
"""
