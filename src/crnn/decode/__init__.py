"""Network output to values, without weights: best path, beams, sentences, alignment, language models as automata."""
