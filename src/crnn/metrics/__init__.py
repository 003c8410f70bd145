"""Figures that torchmetrics lacks, or counts otherwise than the field does."""
