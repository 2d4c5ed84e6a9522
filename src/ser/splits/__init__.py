"""Division of the clips into train, val and test, published protocols, and the certificate against leakage."""
