//! The drivers: who leads the reactor and who runs the application.
