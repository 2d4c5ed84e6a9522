"""The service: a trained model behind HTTP. Only `app`, `server` and `metrics` know a framework, and import it when they are called."""
