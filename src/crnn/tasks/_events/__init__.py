"""Labels along time: an answer for each step, events made of steps, from which score on, and how they are shown."""
