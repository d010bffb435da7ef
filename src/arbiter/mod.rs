//! The arbiter: decides which workers should exist, starts, watches and stops them.
