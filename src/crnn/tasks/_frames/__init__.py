"""The next frames of a film: the forecaster, its loss, its figures, and how frames are shown."""
