"""The version, in a separate module so that the inner rooms need not import the package's front door."""

__version__ = "0.1.0"
