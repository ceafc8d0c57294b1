//! The training loop: schedules, metrics, checkpoints, the log.
