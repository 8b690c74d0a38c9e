"""Write the bundle that leaves the project: weights, ONNX graphs, metadata."""
