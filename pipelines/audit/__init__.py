"""Looks for what is wrong with a data set: files, copies, classes, shortcuts, labels, outliers.

The way in: `pipelines.audit_data.audit`.
Never here: anything that draws a page or loads a model; the verb hands in predictions and features.
"""
