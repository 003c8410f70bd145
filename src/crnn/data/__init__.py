"""From disk to a batch: formats name the samples, input kinds decode them, collation brings them together."""
