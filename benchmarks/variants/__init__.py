"""Variants of situations whose cause is known, made from descriptions: see `__main__`."""
