"""Kinds of input, one a file: decode a source to an array, vary it, normalise it, and say what it is."""

from crnn.data.inputs.line import Line

INPUTS = {"line": Line}
