"""Whether a new package decides as well as an old one: paired results of the same units, and what they prove."""
