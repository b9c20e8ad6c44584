"""The CI gate, which asks whether a candidate run is worse than its baselines or beyond a limit.

`summary` reduces a run to the windows that the tests need, `baseline` keeps summaries in a file, `measures` holds the metrics,
`judge` decides about each, `settings` holds what a project may tune, and `assess` puts them together.
"""
