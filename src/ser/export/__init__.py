"""Export a trained model for programs other than ser."""
