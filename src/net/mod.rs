//! Addresses, listeners and streams.
