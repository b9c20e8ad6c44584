"""What the checks look at: dimensionless measurements of one run, each computed once."""
