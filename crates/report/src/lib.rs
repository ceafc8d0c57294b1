//! Numbers and pictures become curves, matrices, sheets and drawings.
