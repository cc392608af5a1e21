"""gather -> plan -> execute -> report, one module a kind."""
