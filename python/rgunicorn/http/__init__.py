"""HTTP as applications and the server's own Python code see it."""
