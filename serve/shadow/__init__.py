"""Shadow operation on the live line."""
