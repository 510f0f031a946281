"""Dataset layouts, splits with their manifests, and the line simulator."""
