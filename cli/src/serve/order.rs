//! What the task of a connection is told to do, and how it hears of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Waker};

/// What a connection is told to do. A later one of these is never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Serve,
    /// It was idle for too long: finish the requests in flight, take no more.
    Finish,
    /// The server stops: the same, and do not wait for a request whose head is not there.
    Stop,
    /// End now.
    End,
}

/// The order of one connection, and who wakes its task.
#[derive(Debug)]
pub(super) struct Control {
    order: AtomicU8,
    waker: OnceLock<Waker>,
}

impl Control {
    pub(super) const fn new(order: Order) -> Self {
        Self { order: AtomicU8::new(order as u8), waker: OnceLock::new() }
    }

    pub(super) fn give(&self, order: Order) {
        // After the order, so that a task that is just being polled for the first time sees it.
        if self.order.fetch_max(order as u8, Ordering::SeqCst) < order as u8 {
            self.wake();
        }
    }

    pub(super) fn given(&self) -> Order {
        match self.order.load(Ordering::SeqCst) {
            order if order == Order::Serve as u8 => Order::Serve,
            order if order == Order::Finish as u8 => Order::Finish,
            order if order == Order::Stop as u8 => Order::Stop,
            _ => Order::End,
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// What the task of the connection should do, which is woken when that changes.
    pub(super) fn order(&self, context: &Context<'_>) -> Order {
        if self.waker.get().is_none() {
            // The waker of a spawned task stays the same. Only its task gets here.
            let _ = self.waker.set(context.waker().clone());
        }
        self.given()
    }
}
