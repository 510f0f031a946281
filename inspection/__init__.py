"""The runtime core: everything a station needs to inspect a unit and to account for it. No torch, no web framework."""

__version__ = "0.1.0"
