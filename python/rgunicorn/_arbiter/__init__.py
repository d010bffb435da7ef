"""What `arbiter` is made of: who listens where, what can be asked and is told, and the life of a worker."""
