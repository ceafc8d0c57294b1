//! Ctrl-C and the system's request to end: the run stops after its step and can be resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;

/// What becomes true when the process is asked to end. Whoever asks twice is not kept waiting: the process ends at once.
pub(crate) fn requested() -> Result<Arc<AtomicBool>, Failure> {
    let requested = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&requested);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
    })?;
    Ok(requested)
}
