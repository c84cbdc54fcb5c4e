"""The version of this package, read by the build and by `imageryclient.__version__`."""

__version__ = "2.0.0a1"
