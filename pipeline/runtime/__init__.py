"""What every stage needs: output that is complete or absent, locks, digests of inputs, progress."""
