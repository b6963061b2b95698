"""Maps wall to wall by sliding windows, and a run exported as one file."""
