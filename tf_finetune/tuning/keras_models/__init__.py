"""Trials of Keras models that a user builds: the parts of `ModelTuner`."""
