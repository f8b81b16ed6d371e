"""How a trained run predicts: inputs, views, compiled models, cached features, prediction rows, checks of exports.

Import its modules by name; `prediction_rows` and `write_rows` load neither NumPy nor TensorFlow.
Never here: scores of predictions (`evaluation`), training, how several models become one (`ensembles`).
"""
