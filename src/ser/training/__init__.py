"""Training of a model: batches, losses, SpecAugment and the training loop."""
