//! The model of the log: in memory, as simple as can be. For tests of the log and of what reads it.
