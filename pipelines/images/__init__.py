"""A file becomes pixels, and pixels become batches and augmented views: reading, decoding, resizing, policies.

Import `decode`, `view_batches`, `pixel_batches`, `naming_changed`, `build_augmenter` and the table `POLICIES` from
here.
No model, no label but to carry it along, and no option of the command line.
"""
