"""Services that every stage uses: atomic output, locks, digests, progress, provenance, memory."""
