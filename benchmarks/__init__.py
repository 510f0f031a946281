"""Measurements: what the product does on real images, and against others."""
