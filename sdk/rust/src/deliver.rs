//! The way of a delivery through the crate: from the runtime's call to the handler and back.

use std::cell::Cell;

use crate::reply::judge;
use crate::{abi, host, Event, Failure, Reply, Result};

thread_local! {
    /// The event at hand, for requests that go out for it; -1 = all of the delivery.
    static AT_HAND: Cell<i32> = const { Cell::new(-1) };
}

pub(crate) fn at_hand() -> i32 {
    AT_HAND.with(Cell::get)
}

/// Runs a handler on each event of the delivery, and returns the verdict for the runtime.
pub fn each<R: Into<Reply>>(handler: impl Fn(&Event) -> Result<R>) -> i32 {
    let count = host::event_count();
    let mut verdict = abi::DONE;
    for ev in 0..count {
        AT_HAND.with(|at| at.set(ev));
        let outcome = handler(&Event::receive(ev)).and_then(|reply| Ok(reply.into().send(ev)?));
        verdict = tell(ev, outcome.err().as_ref());
    }
    match count {
        1 => verdict,
        _ => abi::DONE, // is the verdict of those that have none yet
    }
}

/// Runs a handler on all events of the delivery together.
pub fn batch(handler: impl Fn(&[Event]) -> Vec<Result<()>>) -> i32 {
    AT_HAND.with(|at| at.set(-1));
    let events: Vec<Event> = (0..host::event_count()).map(Event::receive).collect();
    let results = handler(&events);
    assert!(results.len() <= events.len(), "the batch handler returned {} results for {} events", results.len(), events.len());
    for (ev, result) in results.iter().enumerate() {
        tell(ev as i32, result.as_ref().err());
    }
    abi::DONE
}

fn tell(ev: i32, failure: Option<&Failure>) -> i32 {
    let (verdict, retry_after_ms, reason) = judge(failure);
    if verdict != abi::DONE {
        host::verdict(ev, verdict, retry_after_ms, reason);
    }
    verdict
}

/// Initialises the sandbox, before the snapshot that every event begins with.
pub fn init(user: impl Fn() -> Result<()>) -> i32 {
    tell_panics();
    warm();
    match user() {
        Ok(()) => 0,
        Err(failure) => {
            host::log(abi::LEVEL_ERROR, &failure.text);
            1
        }
    }
}

/// The last line of a panic that the runtime looks for begins with "panic: "; the message of Rust differs from version to version, and is spread over lines.
fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = match (info.payload().downcast_ref::<&str>(), info.payload().downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "a value that is no text",
        };
        match info.location() {
            Some(at) => eprintln!("panic: {}, {}:{}", message, at.file(), at.line()),
            None => eprintln!("panic: {}", message),
        }
    }));
}

thread_local! {
    /// Where a value is kept for a moment, so that the compiler does not leave it out.
    static SINK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Has the allocator take its first memory from the system now, and not in every event.
fn warm() {
    const FIRST: usize = 48 << 10;
    SINK.with(|sink| sink.set(vec![1; FIRST]));
    SINK.with(Cell::take); // stays with the allocator
}
