"""Trained runs as SavedModels that TensorFlow Serving loads."""
