"""Accounts of an archive: who may do what, and who did."""
