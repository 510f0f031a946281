"""Change control: packages and recipes from draft to active, each step signed."""
