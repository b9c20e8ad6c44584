"""Training runs drawn at random: everything about a run is drawn independently of what is done to it."""
