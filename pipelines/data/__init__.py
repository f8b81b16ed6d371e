"""The data to learn from: scanned, checked, divided into parts or folds, with classes matched by name.

Every room to the left of this one and every verb may import its modules; scan.py and check.py are the way in.
Nothing here knows networks, features or runs' folders, and nothing here imports TensorFlow except tfds_copy.py.
"""
