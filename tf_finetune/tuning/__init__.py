"""From a configuration to a better one: search spaces, trials, keras-tuner's algorithms, refit and report."""
