//! Lowers and binds a graph to a program that runs without allocating.
