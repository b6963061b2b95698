"""The patch store: its schema, and whether a store is what it says."""
