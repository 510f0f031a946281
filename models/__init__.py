"""The algorithms: backbone zoo, PatchCore memory and coreset, and the graphs they are served as."""
