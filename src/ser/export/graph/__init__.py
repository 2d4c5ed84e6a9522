"""Write a trained model as an ONNX graph, node by node: the waveform's features, the network, and the calibration."""
