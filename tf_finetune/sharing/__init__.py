"""What others are told of a model, and how it comes to them: the model card, and the way to the hub."""
