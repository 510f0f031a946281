"""Shadow operation: a candidate package beside the active one, its findings as records, and what they prove."""
