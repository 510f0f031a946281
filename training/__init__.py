"""What an engineer runs: fit a detector, set its limits, evaluate it, and look at what it gets wrong."""
