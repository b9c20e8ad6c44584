"""The figures of a report that need no judgement: clip rates, percentiles, tails, spikes, curves."""
