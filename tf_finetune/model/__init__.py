"""Token ids to logits: checked pretrained models, loss, optimizer and schedule."""
