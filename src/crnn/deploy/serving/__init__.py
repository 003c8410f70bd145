"""A trained network behind HTTP: ``crnn serve``."""
