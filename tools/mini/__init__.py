"""The steps of `tools/build_mini.py`: fetch pinned parts, convert them to ONNX, fit the shared space."""
