"""The training loops: banks of heads on cached features, and one stage of a network on batches of pixels.

Import from here: the candidates, heads, network and checkpoint modules.
Never in here: reading images, choosing the stages of a training, writing runs.
"""
