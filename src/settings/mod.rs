//! What can be set: every setting one literal in a table.
