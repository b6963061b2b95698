"""The patch store: its schema and its verification."""
