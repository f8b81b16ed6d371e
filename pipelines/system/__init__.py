"""The services of the operating system: atomic files, the cache folder, worker processes, progress, text, versions.

Every room and every verb may import every module here; the modules are files.py, cache.py, worker.py and the others.
Nothing here knows images, networks or runs, and nothing here imports another room, NumPy, Keras or TensorFlow.
"""
