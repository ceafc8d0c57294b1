//! A bounded window of batches between workers and consumer.
//!
//! Numbers are claimed in turn. A number may be claimed while it is less than `ahead` beyond the next to be delivered; so at
//! most `ahead` batches are ready or under way, and the one that the consumer waits for is always among them.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::batch::Batch;

pub(super) struct Window {
    state: Mutex<State>,
    /// Told when a batch is put or the window is stopped: the consumer waits for it.
    filled: Condvar,
    /// Told when a batch is taken or the window is stopped: workers wait for it.
    room: Condvar,
    end: usize,
    ahead: usize,
}

struct State {
    claimed: usize,
    delivered: usize,
    ready: BTreeMap<usize, thread::Result<Batch>>,
    stopped: bool,
}

impl Window {
    pub(super) fn new(first: usize, end: usize, prefetch: usize) -> Self {
        let state = State { claimed: first, delivered: first, ready: BTreeMap::new(), stopped: false };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            room: Condvar::new(),
            end,
            ahead: prefetch.max(1),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the next batch to be delivered.
    pub(super) fn position(&self) -> usize {
        self.state().delivered
    }

    /// The next number to prepare; waits for room. `None` if there are no more.
    pub(super) fn claim(&self) -> Option<usize> {
        let wait = |state: &mut State| {
            !state.stopped && state.claimed < self.end && state.claimed >= state.delivered + self.ahead
        };
        let mut state = self.room.wait_while(self.state(), wait).unwrap_or_else(PoisonError::into_inner);
        if state.stopped || state.claimed >= self.end {
            return None;
        }
        state.claimed += 1;
        Some(state.claimed - 1)
    }

    /// Hands over a claimed number's batch, or the panic that took its place.
    pub(super) fn put(&self, number: usize, batch: thread::Result<Batch>) {
        self.state().ready.insert(number, batch);
        self.filled.notify_all();
    }

    /// The next batch in order; waits for it. `None` at the end.
    pub(super) fn take(&self) -> Option<thread::Result<Batch>> {
        let wait = |state: &mut State| {
            !state.stopped && state.delivered < self.end && !state.ready.contains_key(&state.delivered)
        };
        let mut state = self.filled.wait_while(self.state(), wait).unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return None;
        }
        let number = state.delivered;
        let batch = state.ready.remove(&number)?;
        state.delivered += 1;
        self.room.notify_all();
        Some(batch)
    }

    /// Ends the epoch: nobody waits any longer.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.filled.notify_all();
        self.room.notify_all();
    }
}
