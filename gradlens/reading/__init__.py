"""From a source to runs: the reader is chosen, steps, roles, layers and optimizers are found."""
