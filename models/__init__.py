"""Networks and what they are made of: backbones, heads, classifiers, ensembles, optimizers, exports.

Import every module from here by its name; `models.engines` runs a frozen base fast.
No folders of images, no runs, no command line: this package knows Keras and arrays alone.
"""
