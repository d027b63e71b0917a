"""Trackers: where a run is watched while it trains. TensorBoard on this machine, MLflow, Weights & Biases."""
