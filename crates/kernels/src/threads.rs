use std::fmt;

/// A pool of threads that runs numbered, independent tasks. The only place that knows rayon.
///
/// Tasks must not start tasks of their own: scratch is handed out per worker, and a worker runs one task at a time.
pub struct Threads {
    /// `None`: the calling thread does everything.
    pool: Option<rayon::ThreadPool>,
}

impl Threads {
    /// A pool of `count` threads; 0 means one per core, 1 means the calling thread alone.
    ///
    /// Where the system refuses to start threads, the calling thread does the work alone.
    pub fn new(count: usize) -> Self {
        let count = if count == 0 { cores() } else { count };
        if count == 1 {
            return Self { pool: None };
        }
        let name = |index| format!("svertka-{index}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(name).build();
        if let Err(error) = &pool {
            tracing::warn!("cannot start {count} threads ({error}); one thread does the work");
        }
        Self { pool: pool.ok() }
    }

    /// How many tasks may run at once. Sizes scratch; must not influence any result.
    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Runs `body` inside the pool, so that the calls of [`run`](Self::run) in it need not enter the pool one by one.
    pub fn enter<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(body),
            None => body(),
        }
    }

    /// Calls `task(worker, index)` once for every `index` below `count`, in any order, on any worker.
    ///
    /// `worker` is below [`count()`](Self::count) and no two tasks run under the same worker at the same time.
    pub fn run(&self, count: usize, task: impl Fn(usize, usize) + Sync) {
        match &self.pool {
            Some(pool) if count > 1 => pool.install(|| split(0, count, &task)),
            _ => (0..count).for_each(|index| task(0, index)),
        }
    }

    /// Calls `task(index, chunk)` for every chunk of `chunk_len` items of `out`, the last one possibly shorter.
    ///
    /// # Panics
    /// If `chunk_len` is 0.
    pub fn run_chunks<T: Send>(
        &self,
        out: &mut [T],
        chunk_len: usize,
        task: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let len = out.len();
        let shared = SharedMut::new(out);
        self.run(len.div_ceil(chunk_len), |_, index| {
            let start = index * chunk_len;
            // SAFETY: chunks of different indices do not overlap, and each index runs once.
            let chunk = unsafe { shared.slice(start, chunk_len.min(len - start)) };
            task(index, chunk);
        });
    }

    /// Calls `task(index, scratch)` for every `index` below `count`, each with a private part of `scratch`.
    ///
    /// `scratch` is cut into [`count()`](Self::count) equal parts; its contents are arbitrary.
    pub fn run_with_scratch<T: Send>(
        &self,
        count: usize,
        scratch: &mut [T],
        task: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let part = scratch.len() / self.count();
        let shared = SharedMut::new(scratch);
        self.run(count, |worker, index| {
            // SAFETY: a worker runs one task at a time, and parts of different workers do not overlap.
            let part = unsafe { shared.slice(worker * part, part) };
            task(index, part);
        });
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Halves `start..end` until single tasks are left; `join` lets an idle worker take the other half.
fn split(start: usize, end: usize, task: &(impl Fn(usize, usize) + Sync)) {
    if end - start == 1 {
        let worker = rayon::current_thread_index().unwrap_or(0);
        return task(worker, start);
    }
    let middle = start + (end - start) / 2;
    rayon::join(|| split(start, middle, task), || split(middle, end, task));
}

/// A mutable slice whose disjoint parts may be written by several tasks at once.
#[derive(Clone, Copy)]
pub struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the only way to reach the data is `slice`, whose contract forbids overlapping parts.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Shares `slice` for as long as it is borrowed.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), lifetime: std::marker::PhantomData }
    }

    /// The first item, for tasks whose parts are not contiguous. Whoever writes through it owes what
    /// [`slice`](Self::slice) owes.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.start
    }

    /// The part of `len` items from `start`.
    ///
    /// # Panics
    /// If the part does not lie within the slice.
    ///
    /// # Safety
    /// - No two parts that overlap are alive at the same time.
    pub unsafe fn slice(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start <= self.len && len <= self.len - start, "part {start}+{len} of {}", self.len);
        // SAFETY: within the slice by the assertion; unaliased by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_index_runs_once_on_any_number_of_threads() {
        for threads in [1, 2, 4] {
            let seen: Vec<AtomicUsize> = (0..37).map(|_| AtomicUsize::new(0)).collect();
            Threads::new(threads).run(37, |worker, index| {
                assert!(worker < threads);
                seen[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn chunks_cover_the_slice_and_the_last_is_shorter() {
        let mut out = [0; 10];
        Threads::new(2).run_chunks(&mut out, 4, |index, chunk| chunk.fill(index * 10 + chunk.len()));
        assert_eq!(out, [4, 4, 4, 4, 14, 14, 14, 14, 22, 22]);
    }

    #[test]
    fn scratch_of_a_task_is_its_own() {
        let threads = Threads::new(4);
        let mut scratch = vec![0usize; 4 * 8];
        threads.run_with_scratch(100, &mut scratch, |index, part| {
            part.fill(index);
            std::thread::yield_now();
            assert!(part.iter().all(|&value| value == index));
        });
    }
}
