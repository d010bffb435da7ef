"""Applications as the server loads and runs them."""
