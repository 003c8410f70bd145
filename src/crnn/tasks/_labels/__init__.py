"""What tasks share whose answers are labels: which are known, how sure a network is, what is odd about them."""
