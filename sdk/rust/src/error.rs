use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::abi;

/// What kind of trouble an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The manifest does not allow it.
    Denied,
    /// A limit of the delivery is reached.
    TooLarge,
    /// The event has no key, which state needs.
    NoKey,
    /// The runtime cannot accept a value, or data is not what was asked for.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// As many requests as are possible were open until the time was over, or there is no room for the invoked function.
    Busy,
    /// A host did not take the connection, or broke it off.
    Unreachable,
    /// It was not done in time.
    TimedOut,
    /// The invoked function rejected the event.
    Rejected,
    /// The invoked function failed.
    Failed,
    /// The invoked function trapped.
    Trapped,
    /// The invoked function cannot run now.
    Unavailable,
    /// The invoked function is under way already, or the chain is too long.
    Loop,
    /// The event is over.
    Over,
    /// Something else; the text says what.
    Other,
}

/// Why the runtime did not do what it was asked for: what was tried, why it was refused and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    reason: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: &str, name: &str, why: &str, help: &str) -> Error {
        let mut text = String::from(what);
        if !name.is_empty() {
            text.push_str(" \"");
            text.push_str(name);
            text.push('"');
        }
        text.push_str(": ");
        text.push_str(why);
        if !help.is_empty() {
            text.push_str("; ");
            text.push_str(help);
        }
        Error { kind, text, reason: why.to_string() }
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Why, without what was tried: of [`crate::invoke`], what the other function said.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The error of a status, or of a negative result, that is nothing special.
    pub(crate) fn of_status(status: i32, what: &str, name: &str) -> Error {
        match status {
            abi::STATUS_DENIED => Error::new(ErrorKind::Denied, what, name, "denied", ""),
            abi::TOO_LARGE => Error::new(ErrorKind::TooLarge, what, name, "too large", "a request has at most 1 MiB, and 64 calls can be open"),
            abi::CLOSED => Error::new(ErrorKind::Over, what, name, "the event is over", ""),
            abi::ABSENT => Error::new(ErrorKind::TimedOut, what, name, "no answer before the deadline", ""),
            _ => Error::new(ErrorKind::Other, what, name, &format!("status {}", status), ""),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Error {}

/// Why a handler gives up on an event. Any error becomes one by `?`, and means *failed*: the event is tried again by the policy of its trigger. [`reject`] and
/// [`retry_after`] make those that mean something else.
///
/// ```
/// fn double(event: &evoke::Event) -> evoke::Result<String> {
///     let n: i32 = event.text()?.trim().parse().map_err(evoke::reject)?;
///     Ok((2 * n).to_string())
/// }
/// # let got = evoke::testing::Runtime::new().deliver(double, evoke::Event::new("number", "21"));
/// # assert_eq!(got.data, b"42");
/// # let got = evoke::testing::Runtime::new().deliver(double, evoke::Event::new("number", "x"));
/// # assert_eq!((got.verdict, got.reason.as_str()), (evoke::testing::Verdict::Rejected, "invalid digit found in string"));
/// ```
pub struct Failure {
    pub(crate) text: String,
    pub(crate) rejected: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// The reason, as it goes into logs and dead letters.
    pub fn reason(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// Failure is no std::error::Error itself: it could not be made of any error by `?` then.
impl<E: StdError> From<E> for Failure {
    fn from(err: E) -> Failure {
        let mut text = err.to_string();
        let mut source = err.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Failure { text, rejected: false, retry_after: None }
    }
}

/// The event has failed, and is tried again by the policy of its trigger.
pub fn fail(reason: impl fmt::Display) -> Failure {
    Failure { text: reason.to_string(), rejected: false, retry_after: None }
}

/// Trying again is of no use: the event becomes a dead letter at once, and an HTTP client gets 422.
pub fn reject(reason: impl fmt::Display) -> Failure {
    Failure { rejected: true, ..fail(reason) }
}

/// The event is to be tried again after this time (at most 15 minutes), instead of when the policy of the trigger would. The attempt counts like any other.
pub fn retry_after(time: Duration, reason: impl fmt::Display) -> Failure {
    Failure { retry_after: Some(time), ..fail(reason) }
}

/// What a handler returns.
pub type Result<T = crate::Reply, E = Failure> = std::result::Result<T, E>;
