"""Learning and measuring the diagnosis."""
