"""Ways of training beyond the loss on weak labels."""
