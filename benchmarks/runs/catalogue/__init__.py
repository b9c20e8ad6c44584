"""What is trained: families of tasks with their recipes and faults, one module per split; `build.py` makes the runs of them.

A split is a set of families by what was known when they were made. That decides what a score on them is worth.

| split | its families were made | the rules of the diagnosis were made | a score on it by weights that did not see the family |
|---|---|---|---|
| `develop` | first, to make rules on | while looking at these runs | flatters signs and rules |
| `test` | together with `develop` | while scores on it were watched | flatters them a little |
| `fresh` | later, by somebody who had read no rules | without it at first; it then led to changes | is no longer a first look |
| `blind` | after `fresh`, by somebody else, in the same way | the same | is no longer a first look |
| `unseen` | last, of tasks unlike all others | the same, with few changes since | is the closest to what a new user sees |

What the first looks gave, before any change that they led to, is at the top of `docs/diagnosis.md`. The weights that ship are
learned from all five splits and the given runs. The label and the archive of a run carry the name of its split.
"""
