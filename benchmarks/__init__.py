"""Programs that make the runs and figures that the documentation quotes."""
