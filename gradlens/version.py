"""The version, in a module of its own so that the inner rooms need not import the package's front door."""

__version__ = "0.1.0"
