//! Where hashing is done: a fixed number of threads of low priority, each with memory that it keeps, behind a queue of fixed
//! length. A flood of sign-ins fills the queue and is answered 503; other requests do not feel it (practice 4.dos).
//! Attacks: `tests/suite/attacks/s04_rate_limits/hash_flood.rs`.

use crate::credentials::password::hash::Arena;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A thread without work for this long gives its memory back.
const ARENA_IDLE: Duration = Duration::from_secs(30);

/// The queue is full, or the pool is gone. Try again in a few seconds.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the password hashing queue is full")]
pub struct Busy;

type Job = Box<dyn FnOnce(&mut Arena) + Send>;

/// A handle on the pool. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct HashPool {
    queue: Sender<Job>,
    computed: Arc<AtomicU64>,
}

impl HashPool {
    /// Starts `threads` threads behind a queue of `waiting` jobs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = bounded::<Job>(waiting);
        let computed = Arc::<AtomicU64>::default();
        for index in 0..threads {
            let (jobs, arena) = (jobs.clone(), Arena::counting(Arc::clone(&computed)));
            std::thread::Builder::new().name(format!("hash-{index}")).spawn(move || work(&jobs, arena))?;
        }
        Ok(Self { queue, computed })
    }

    /// How often argon2 was run so far. Tests count work instead of measuring time.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Runs a job on the pool. If the caller goes away before the job's turn, the work is not done.
    ///
    /// # Errors
    /// [`Busy`] at once when the queue is full.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut Arena) -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, result) = oneshot::channel();
        let queued = Instant::now();
        let job: Job = Box::new(move |arena| {
            metrics::histogram!("portcullis_password_hash_wait_seconds").record(queued.elapsed());
            if !answer.is_closed() {
                let result = job(arena);
                // the caller may have left while the work was done
                let _ = answer.send(result);
            }
        });
        self.queue.try_send(job).map_err(|_| {
            metrics::counter!("portcullis_password_hash_rejected_total").increment(1);
            Busy
        })?;
        let _pending = Pending::new();
        result.await.map_err(|_| Busy)
    }
}

/// Counts a waiting caller for as long as there is one: a call that is given up is dropped in the middle of its wait.
struct Pending(metrics::Gauge);

impl Pending {
    fn new() -> Self {
        let gauge = metrics::gauge!("portcullis_password_hash_pending");
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn work(jobs: &Receiver<Job>, mut arena: Arena) {
    yield_to_the_server();
    loop {
        match jobs.recv_timeout(ARENA_IDLE) {
            Ok(job) => job(&mut arena),
            Err(RecvTimeoutError::Timeout) => arena.release(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// On Linux a nice value belongs to the thread; elsewhere it would slow the whole process.
fn yield_to_the_server() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::warn!(%error, "hashing threads keep the server's priority");
    }
}
