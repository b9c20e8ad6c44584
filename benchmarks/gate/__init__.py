"""How often the gate is wrong: on simulated logs, on real runs and over seeds."""
