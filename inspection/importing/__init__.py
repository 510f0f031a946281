"""Old image folders with another system's decisions become records of an archive."""
