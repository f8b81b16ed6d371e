"""Several models, one answer: members' predictions, methods, weights, selection, ranking, and the combined run.

Import `join`, `load_members`, `common_images` and the table `METHODS` from here.
No training, no command-line words, and no image that a member was trained on decides a weight.
"""
