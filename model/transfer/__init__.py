"""Is a run to be believed on another image? What it has seen, how far an image is from that, and the accuracy to expect there."""
