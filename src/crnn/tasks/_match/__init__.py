"""Sentences and pictures in one space: head, rows of sentences, answers, phrases for regions, pages."""
