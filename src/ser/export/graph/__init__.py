"""A trained model written as an ONNX graph, node by node: the waveform's features, the network, and the calibration."""
