"""What the tests and benchmarks of consensus share: states by rule, and engines to compare with."""
