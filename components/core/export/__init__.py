"""The deployable form of a model: graphs, parity with what was trained, metadata. Import from the modules.

`onnx_graph` needs torch; everything else does not.
"""
