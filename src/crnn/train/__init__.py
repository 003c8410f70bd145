"""Training and testing: Lightning does the loop, the task says what is learned."""
