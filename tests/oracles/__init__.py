"""Independent numpy computations that tests and benchmarks compare the product with."""
