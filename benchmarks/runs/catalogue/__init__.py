"""What is trained: families, their recipes and faults, one module per split."""
