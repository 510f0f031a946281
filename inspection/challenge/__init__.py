"""The challenge kit: known units that prove, at a batch's or a shift's start, that the station decides as it should."""
