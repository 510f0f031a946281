"""How a line does over time: control charts, distributions, and batches beside each other."""
