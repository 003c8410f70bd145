"""Sentences about a sample: the head that says them, what is known of training, figures and pages."""
