"""What tasks share that answer in words: a vocabulary, and what is odd about texts."""
