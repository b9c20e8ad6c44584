"""Many runs: planned into units, judged in child processes or on a cluster, kept as one table with a row per run."""
