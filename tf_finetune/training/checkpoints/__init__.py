"""Checkpoints: what a run is gone on with after it was stopped or killed."""
