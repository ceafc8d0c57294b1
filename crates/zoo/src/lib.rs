//! Functions that return the graphs of known networks, and a table of their cards.
