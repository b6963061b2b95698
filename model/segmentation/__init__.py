"""From networks to a class of every pixel: predictions over patches, the methods and what is fitted for them."""
