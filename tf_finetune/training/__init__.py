"""Training: from a configuration to a finished run in a model folder."""
