"""Trains one model: plans the stages, runs them, and keeps the better of the frozen and the fine-tuned."""
