"""Boxes around things: head, loss, how boxes are found, and how they are shown."""
