"""The CI gate: is a candidate run worse than its baselines, or beyond a limit?

`summary` reduces a run to the windows that the tests need, `baseline` keeps summaries in a file, `golden` reads the golden
files of other projects, `judge` compares, `settings` holds what a project may tune, and `run` puts them together.
"""
