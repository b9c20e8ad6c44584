"""The recorder in trainers that own the loop: one module per library, which is imported by nobody else."""
