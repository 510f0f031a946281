"""One file for each engine; `inspection.runtime` lists them."""
