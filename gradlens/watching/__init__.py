"""Following a run that is still going on: what is new in it, and who is told."""
