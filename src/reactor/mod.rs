//! The event loop: owns every socket of a worker process. No Python.
