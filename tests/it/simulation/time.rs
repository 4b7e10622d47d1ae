//! Time and threads of a run that can be repeated exactly.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use landbridge::domain::clock::Clock;
use landbridge::domain::instant::Instant;

/// 2025-11-23T00:00:00Z.
const BEGINNING: Instant = Instant::from_micros(1_763_856_000_000_000);

/// Wall time: moves with tokio's paused clock while a process lives, and by `pass` between two of them.
pub struct Wall {
    state: Mutex<(Instant, Option<tokio::time::Instant>)>,
}

impl Wall {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((BEGINNING, None)) })
    }

    /// A process starts; must be called within its runtime.
    pub fn begin(&self) {
        self.state.lock().unwrap().1 = Some(tokio::time::Instant::now());
    }

    /// The process is gone; must be called within its runtime.
    pub fn end(&self) {
        let now = self.now();
        *self.state.lock().unwrap() = (now, None);
    }

    /// Time passes while no process lives.
    pub fn pass(&self, duration: Duration) {
        let mut state = self.state.lock().unwrap();
        assert!(state.1.is_none(), "a process lives");
        state.0 = state.0.plus(duration);
    }

    /// Sleeps until a moment.
    pub async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep(self.now().until(at)).await;
    }
}

impl Clock for Wall {
    fn now(&self) -> Instant {
        let (base, started) = *self.state.lock().unwrap();
        started.map_or(base, |started| base.plus(started.elapsed()))
    }
}

/// Seconds since the beginning, for people.
pub fn seconds(micros: i64) -> f64 {
    (micros - BEGINNING.micros()) as f64 / 1e6
}

/// Lets blocking jobs work only while the actors' thread waits: a job that ended before anyone waits for it would be
/// heard of at another moment than one that ends later.
#[derive(Default)]
pub struct Gate {
    open: Mutex<Opening>,
    opened: Condvar,
}

#[derive(Default, PartialEq)]
enum Opening {
    #[default]
    Closed,
    Open,
    /// The runtime is about to end.
    ForGood,
}

thread_local! {
    static GATE: RefCell<Arc<Gate>> = RefCell::default();
}

impl Gate {
    /// The gate of this thread's runtime.
    pub fn here() -> Arc<Self> {
        GATE.with_borrow(Arc::clone)
    }

    /// Waits, on a blocking thread, until it is open.
    pub fn pass(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| *open == Opening::Closed).unwrap());
    }

    fn set(&self, opening: Opening) {
        let mut open = self.open.lock().unwrap();
        if *open != Opening::ForGood {
            *open = opening;
        }
        self.opened.notify_all();
    }
}

struct OpenAtEnd(Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.set(Opening::ForGood);
    }
}

/// Runs `main` in an actix system on this thread, on a paused clock, the same way each time: blocking jobs run one
/// after the other on one thread, and what they wake runs when nothing else can, however long they took.
pub fn repeatable<T>(main: impl Future<Output = T>) -> T {
    let gate = Arc::new(Gate::default());
    GATE.set(Arc::clone(&gate));
    let (parked, unparked) = (Arc::clone(&gate), Arc::clone(&gate));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .event_interval(1)
        .global_queue_interval(u32::MAX)
        .max_blocking_threads(1)
        .on_thread_park(move || parked.set(Opening::Open))
        .on_thread_unpark(move || unparked.set(Opening::Closed))
        .build()
        .unwrap();
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    // Dropped before the runtime, which waits for its blocking jobs.
    let _open = OpenAtEnd(gate);
    system.block_on(main)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `work`, which waits for blocking jobs alone, to its end before anything else goes on: as one step that a crash
/// cannot divide.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut work = pin!(tokio::task::unconstrained(work));
    let gate = Gate::here();
    gate.set(Opening::Open);
    let value = loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => break value,
            Poll::Pending => std::thread::park(),
        }
    };
    gate.set(Opening::Closed);
    value
}
