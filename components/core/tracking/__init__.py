"""What a run says while it works: metrics, history, logs, progress. Imports neither torch nor TensorBoard."""
