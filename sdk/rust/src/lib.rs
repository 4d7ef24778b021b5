//! The SDK for Evoke functions in Rust.
//!
//! A function is a library crate of the type `cdylib` that names its handler:
//!
//! ```
//! use evoke::{json, Event, Json};
//!
//! evoke::handler!(greet);
//!
//! fn greet(event: &Event) -> evoke::Result<Json> {
//!     let data = event.json().map_err(evoke::reject)?;
//!     let name = data["name"].as_str().ok_or_else(|| evoke::reject("send JSON like {\"name\": \"Ada\"}"))?;
//!     evoke::info!("greeted {}", name);
//!     Ok(json!({ "text": format!("hello {}", name) }))
//! }
//! # let got = evoke::testing::Runtime::new().deliver(greet, Event::new("greeting", json!({ "name": "Ada" })));
//! # assert_eq!(got.data, br#"{"text":"hello Ada"}"#);
//! # assert_eq!(got.logs[0].1, "greeted Ada");
//! ```
//!
//! fnctl builds it with cargo for `wasm32-wasip1`. The crate has no dependencies; with the feature `serde` data comes as values of your own types
//! (`typed_handler!`).
//!
//! # What the error of a handler means
//!
//! `Ok` is done: the reply is sent, and the emitted events and the state become real, together. Any error is failed: all of that is dropped, and the event is tried
//! again by the policy of its trigger. [`retry_after`] says when. [`reject`] says that trying again is of no use: the event becomes a dead letter at once. A panic
//! ends the sandbox and counts as failed; its message and place are the reason.
//!
//! Each event is handled in a fresh copy of memory: what a handler puts into a static is gone at the next event. Keep it in [`state`], or make it before
//! the first event: `evoke::handler!(greet, init = prepare)`.
//!
//! # Tests
//!
//! Compiled for any other system than WebAssembly, the crate talks to [`testing`], which runs a handler on an event and records what it did.

#![deny(unsafe_code)] // host.rs has what there is, and the reasons
#![warn(missing_docs)]

#[allow(missing_docs)]
mod abi;
mod deliver;
mod error;
mod event;
mod fetch;
#[allow(missing_docs)]
mod host;
mod invoke;
#[allow(missing_docs)]
mod json;
mod reply;
mod request;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(feature = "serde")]
mod typed;

use std::time::Duration;

pub use error::{fail, reject, retry_after, Error, ErrorKind, Failure, Result};
pub use event::{Data, Event, Extension};
pub use fetch::{fetch_all, Fetch, Pending, Response};
pub use invoke::{invoke, Answer};
pub use json::{Json, Number};
pub use reply::Reply;
pub use request::Request;
pub use state::{config, secret};
#[cfg(feature = "serde")]
pub use typed::typed;

/// Adds an event to a topic, when and if the handler returns without an error. fn.yaml names the topics that a function may emit to: `allow: { emit: [orders] }`.
/// An event without an id gets one that stays the same when the attempt is repeated.
pub fn emit(topic: &str, event: &Event) -> std::result::Result<(), Error> {
    let (kind, why, help) = match host::emit(topic, event.to_json().as_bytes()) {
        n if n >= 0 => return Ok(()),
        abi::DENIED => (ErrorKind::Denied, "denied", "add it to allow.emit of this function in fn.yaml"),
        abi::TOO_LARGE => {
            (ErrorKind::TooLarge, "too large", "an event has at most 1 MiB, a delivery emits at most 1,000 events and 4 MiB in all, state included")
        }
        abi::INVALID => (ErrorKind::Invalid, "invalid", "the event needs a type, and names of extensions have lower-case letters and digits only"),
        _ => (ErrorKind::Over, "the event is over", ""),
    };
    Err(Error::new(kind, "emit to topic", topic, why, help))
}

/// The time left until the deadline of the delivery.
pub fn time_left() -> Duration {
    Duration::from_millis(host::deadline_ms().max(0) as u64)
}

/// Names the handler of the function: `fn(&Event) -> evoke::Result<R>`, where R is [`Reply`] or something that becomes one, such as `()`, text or [`Json`].
///
/// `init = f` names a function without arguments that runs once, when the function is deployed: what it puts into statics and thread-locals is there for
/// every event. Its error keeps the function from being deployed.
///
/// ```
/// use std::cell::RefCell;
///
/// thread_local!(static GREETINGS: RefCell<Vec<String>> = RefCell::new(Vec::new()));
///
/// evoke::handler!(greet, init = prepare);
///
/// fn prepare() -> evoke::Result<()> {
///     GREETINGS.with(|g| g.borrow_mut().push("hello".to_string())); // something that takes long
///     Ok(())
/// }
///
/// fn greet(_: &evoke::Event) -> evoke::Result<String> {
///     Ok(GREETINGS.with(|g| g.borrow()[0].clone()))
/// }
/// # prepare().unwrap();
/// # assert_eq!(evoke::testing::Runtime::new().deliver(greet, evoke::Event::new("t", ())).data, b"hello");
/// ```
#[macro_export]
macro_rules! handler {
    ($handler:expr $(,)?) => {
        $crate::handler!($handler, init = || ::std::result::Result::Ok(()));
    };
    ($handler:expr, init = $init:expr $(,)?) => {
        $crate::__exports!($init, $crate::__private::each($handler));
    };
}

/// Names the handler of a function that takes the data as a value of its own type: `fn(&Event, T) -> evoke::Result<R>`. Data that does not fit is rejected, and
/// the handler is not called. It may have an `init`, as [`handler!`] has.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Order {
///     customer: String,
///     total: f64,
/// }
///
/// evoke::typed_handler!(charge);
///
/// fn charge(_: &evoke::Event, order: Order) -> evoke::Result<String> {
///     Ok(format!("{} pays {}", order.customer, order.total))
/// }
/// # let mut runtime = evoke::testing::Runtime::new();
/// # let got = runtime.deliver(evoke::typed(charge), evoke::Event::new("order", evoke::json!({ "customer": "ada", "total": 12.5 })));
/// # assert_eq!(got.data, b"ada pays 12.5");
/// # let got = runtime.deliver(evoke::typed(charge), evoke::Event::new("order", evoke::json!({ "customer": "ada" })).with_id("7"));
/// # assert_eq!((got.verdict, &got.reason[..]), (evoke::testing::Verdict::Rejected, "decode the data of event \"7\": missing field `total` at line 1 column 18"));
/// ```
#[cfg(feature = "serde")]
#[macro_export]
macro_rules! typed_handler {
    ($handler:expr $(, init = $init:expr)? $(,)?) => {
        $crate::handler!($crate::typed($handler) $(, init = $init)?);
    };
}

/// Names a handler that takes the events of a batch together (`batch:` of a topic trigger): `fn(&[Event]) -> Vec<evoke::Result<()>>`. The result at a place
/// is what became of the event at that place; those without one are done. What it emits becomes real when all are done; when some are not, the others are delivered
/// again without them. State needs one key, so a batch has none.
///
/// ```
/// use evoke::Event;
///
/// evoke::batch_handler!(store);
///
/// fn store(events: &[Event]) -> Vec<evoke::Result<()>> {
///     events.iter().map(|e| e.json().map(|_| ()).map_err(evoke::reject)).collect()
/// }
/// # let (_, each) = evoke::testing::Runtime::new().deliver_batch(store, vec![Event::new("t", "1"), Event::new("t", "x")]);
/// # assert_eq!(each.iter().map(|o| o.verdict).collect::<Vec<_>>(), [evoke::testing::Verdict::Done, evoke::testing::Verdict::Rejected]);
/// ```
#[macro_export]
macro_rules! batch_handler {
    ($handler:expr $(,)?) => {
        $crate::batch_handler!($handler, init = || ::std::result::Result::Ok(()));
    };
    ($handler:expr, init = $init:expr $(,)?) => {
        $crate::__exports!($init, $crate::__private::batch($handler));
    };
}

/// What the runtime calls.
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($init:expr, $deliver:expr) => {
        #[no_mangle]
        pub extern "C" fn evoke_init() -> i32 {
            $crate::__private::init($init)
        }

        #[no_mangle]
        pub extern "C" fn evoke_handle() -> i32 {
            $deliver
        }
    };
}

/// Makes a [`Json`] value. Objects and arrays inside of others need a `json!` of their own.
///
/// ```
/// let order = evoke::json!({ "customer": "ada", "lines": evoke::json!([1, 2]) });
/// assert_eq!(order.to_string(), r#"{"customer":"ada","lines":[1,2]}"#);
/// ```
#[macro_export]
macro_rules! json {
    ({ $($name:literal : $value:expr),* $(,)? }) => {
        $crate::Json::Object(::std::vec![$((::std::string::String::from($name), $crate::Json::from($value))),*])
    };
    ([ $($value:expr),* $(,)? ]) => {
        $crate::Json::Array(::std::vec![$($crate::Json::from($value)),*])
    };
    ($value:expr) => {
        $crate::Json::from($value)
    };
}

/// Writes a line to the log of the function, as `format!` does; `fnctl logs` shows it. An attempt can log 64 KiB. What is printed to stdout and stderr is logged,
/// too, line by line.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)+) => { $crate::__private::debug(&::std::format!($($arg)+)) };
}

/// [`debug!`] one level up.
#[macro_export]
macro_rules! info {
    ($($arg:tt)+) => { $crate::__private::info(&::std::format!($($arg)+)) };
}

/// [`info!`] one level up.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)+) => { $crate::__private::warn(&::std::format!($($arg)+)) };
}

/// [`warn!`] one level up.
#[macro_export]
macro_rules! error {
    ($($arg:tt)+) => { $crate::__private::error(&::std::format!($($arg)+)) };
}

/// What the macros need.
#[doc(hidden)]
pub mod __private {
    #![allow(missing_docs)]

    pub use crate::deliver::{batch, each, init};
    use crate::{abi, host};

    pub fn debug(line: &str) {
        host::log(abi::LEVEL_DEBUG, line);
    }

    pub fn info(line: &str) {
        host::log(abi::LEVEL_INFO, line);
    }

    pub fn warn(line: &str) {
        host::log(abi::LEVEL_WARN, line);
    }

    pub fn error(line: &str) {
        host::log(abi::LEVEL_ERROR, line);
    }
}
