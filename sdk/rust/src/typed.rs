//! Data as values of the function's own types, by serde.

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::{reject, Error, ErrorKind, Event, Reply, Result};

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, what: &str, name: &str) -> std::result::Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::new(ErrorKind::Invalid, what, name, &e.to_string(), ""))
}

pub(crate) fn decode<T: DeserializeOwned>(data: &[u8], what: &str, name: &str) -> std::result::Result<T, Error> {
    if data.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, what, name, "there is no data", ""));
    }
    serde_json::from_slice(data).map_err(|e| Error::new(ErrorKind::Invalid, what, name, &e.to_string(), ""))
}

/// Makes a handler of one that takes the data, too: what [`typed_handler!`](crate::typed_handler) does, for tests.
///
/// Data that does not fit does not get better when it is tried again. So the event is rejected, and the handler is not called.
pub fn typed<T: DeserializeOwned, R: Into<Reply>>(handler: impl Fn(&Event, T) -> Result<R>) -> impl Fn(&Event) -> Result<R> {
    move |event| handler(event, event.decode().map_err(reject)?)
}
