//! The state of the function under the key of the event, its settings and its secrets.
//!
//! What is written becomes real when and if the handler returns without an error. When another event changed what this one read or wrote, the runtime runs
//! the handler again; it never sees the clash.
//!
//! ```
//! use evoke::{state, Event};
//!
//! fn count(_: &Event) -> evoke::Result<String> {
//!     let runs = state::get_json("runs")?.and_then(|n| n.as_i64()).unwrap_or(0) + 1;
//!     state::set("runs", runs.to_string())?;
//!     Ok(format!("run {}", runs))
//! }
//!
//! let mut runtime = evoke::testing::Runtime::new();
//! let event = Event::new("tick", ()).with_subject("ada");
//! runtime.deliver(count, event.clone());
//! assert_eq!(runtime.deliver(count, event).data, b"run 2");
//! ```

use crate::{abi, host, Error, ErrorKind, Json};

/// Reads a value; None when there is none. Names have 1 to 512 bytes.
pub fn get(name: &str) -> Result<Option<Vec<u8>>, Error> {
    match host::run(abi::OP_STATE_GET, name.as_bytes()) {
        (abi::STATUS_OK, value) => Ok(Some(value)),
        (abi::STATUS_NOT_FOUND, _) => Ok(None),
        (status, _) => Err(error("read state", name, status)),
    }
}

/// Reads a value that is JSON; None when there is none.
pub fn get_json(name: &str) -> Result<Option<Json>, Error> {
    let parse = |value: Vec<u8>| Json::parse(&value).map_err(|e| Error::new(ErrorKind::Invalid, "read state", name, e.reason(), ""));
    get(name)?.map(parse).transpose()
}

/// Reads a value that [`encode`] wrote; None when there is none.
#[cfg(feature = "serde")]
pub fn decode<T: serde::de::DeserializeOwned>(name: &str) -> Result<Option<T>, Error> {
    get(name)?.map(|value| crate::typed::decode(&value, "read state", name)).transpose()
}

/// Writes a value of at most 256 KiB.
pub fn set(name: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    match host::run(abi::OP_STATE_SET, &host::two_parts(name.as_bytes(), value.as_ref())) {
        (abi::STATUS_NO_CONTENT, _) => Ok(()),
        (status, _) => Err(error("write state", name, status)),
    }
}

/// Writes the JSON form of a value.
#[cfg(feature = "serde")]
pub fn encode<T: serde::Serialize + ?Sized>(name: &str, value: &T) -> Result<(), Error> {
    set(name, crate::typed::encode(value, "write state", name)?)
}

/// Removes a value. It is no error when there is none.
pub fn delete(name: &str) -> Result<(), Error> {
    match host::run(abi::OP_STATE_DELETE, name.as_bytes()) {
        (abi::STATUS_NO_CONTENT, _) => Ok(()),
        (status, _) => Err(error("delete state", name, status)),
    }
}

/// Lists the names of the values that begin with prefix, in the order of their bytes, at most 10,000 in a delivery. A handler sees what it wrote before.
pub fn list(prefix: &str) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().map_or("", String::as_str);
        let (status, answer) = host::run(abi::OP_STATE_LIST, &host::two_parts(prefix.as_bytes(), after.as_bytes()));
        match status {
            abi::STATUS_OK | abi::STATUS_PARTIAL => {}
            abi::STATUS_TOO_LARGE => return Err(Error::new(ErrorKind::TooLarge, "list state", prefix, "too large", "a delivery lists at most 10,000 names")),
            abi::STATUS_INVALID => return Err(Error::new(ErrorKind::Invalid, "list state", prefix, "invalid", "a prefix has at most 512 bytes")),
            _ => return Err(error("list state", prefix, status)),
        }
        let mut rest = &answer[..];
        while let Some((name, more)) = host::apart(rest) {
            names.push(String::from_utf8_lossy(name).into_owned());
            rest = more;
        }
        if status == abi::STATUS_OK {
            return Ok(names);
        }
    }
}

fn error(what: &str, name: &str, status: i32) -> Error {
    let (kind, why, help) = match status {
        abi::STATUS_DENIED => (ErrorKind::Denied, "denied", "add state: true to allow of this function in fn.yaml"),
        abi::STATUS_NO_KEY => (ErrorKind::NoKey, "the event has no key", "set partitionkey or subject, or key: on the http trigger"),
        abi::STATUS_TOO_LARGE => (ErrorKind::TooLarge, "too large", "a value has at most 256 KiB, and the effects of a delivery 4 MiB"),
        abi::STATUS_INVALID => (ErrorKind::Invalid, "invalid", "a name has 1 to 512 bytes"),
        _ => return Error::of_status(status, what, name),
    };
    Error::new(kind, what, name, why, help)
}

/// Reads an entry of the function's `env` in fn.yaml; None when there is none.
pub fn config(name: &str) -> Result<Option<String>, Error> {
    text(abi::OP_CONFIG_GET, "read config", name)
}

/// Reads a secret that the function lists under `secrets:` in fn.yaml; None when it is not set. It is as it is now: a new value comes with the next event.
pub fn secret(name: &str) -> Result<Option<String>, Error> {
    text(abi::OP_SECRET_GET, "read secret", name)
}

fn text(op: &str, what: &str, name: &str) -> Result<Option<String>, Error> {
    match host::run(op, name.as_bytes()) {
        (abi::STATUS_OK, value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        (abi::STATUS_NOT_FOUND, _) => Ok(None),
        (abi::STATUS_DENIED, _) if op == abi::OP_SECRET_GET => {
            Err(Error::new(ErrorKind::Denied, what, name, "denied", "add it to secrets of this function in fn.yaml"))
        }
        (status, _) => Err(Error::of_status(status, what, name)),
    }
}
