//! Shared memory in which each worker says what it is doing, since when, and on which request.
