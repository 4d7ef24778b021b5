use crate::event::{extensions_in, Extension};
use crate::{abi, host, Error, ErrorKind, Event, Json};

/// What an invoked function replied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The data; empty when there is none.
    pub data: Vec<u8>,
    /// The type, when the reply is a CloudEvent.
    pub ty: Option<String>,
    /// The content type of the data, when the function said it.
    pub content_type: Option<String>,
    /// What else it says of itself.
    pub extensions: Vec<(String, Extension)>,
}

impl Answer {
    /// The data, which is JSON.
    pub fn json(&self) -> Result<Json, Error> {
        Json::parse(&self.data).map_err(|e| Error::new(ErrorKind::Invalid, "read the answer", "", e.reason(), ""))
    }

    /// The data, which is JSON, as a value of your own type.
    #[cfg(feature = "serde")]
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        crate::typed::decode(&self.data, "decode the answer", "")
    }
}

/// Runs another function on an event and waits for its answer. fn.yaml lists which: `allow: { invoke: [price] }`. It runs inside this delivery: under the same
/// key and within the same deadline, and what it emits and writes becomes real together with what this handler does, if that returns without an error.
///
/// On an error what the other function did is undone, and the handler may go on.
///
/// ```
/// use evoke::{json, ErrorKind, Event, Reply};
///
/// fn order(event: &Event) -> evoke::Result {
///     match evoke::invoke("stock", &Event::new("take", json!({ "order": event.id() }))) {
///         Ok(answer) => Ok(Reply::json(answer.json()?)),
///         Err(e) if e.kind() == ErrorKind::Rejected => Ok(Reply::text(e.reason()).with_status(409)),
///         Err(e) => Err(e.into()),
///     }
/// }
///
/// let mut runtime = evoke::testing::Runtime::new();
/// runtime.on_invoke(|_, _| Err((ErrorKind::Rejected, "sold out".to_string())));
/// assert_eq!(runtime.deliver(order, Event::new("order", ())).data, b"sold out");
/// ```
pub fn invoke(function: &str, event: &Event) -> Result<Answer, Error> {
    let (status, answer) = host::run(abi::OP_INVOKE, &host::two_parts(function.as_bytes(), event.to_json().as_bytes()));
    if status != abi::STATUS_OK {
        return Err(error(status, function, &String::from_utf8_lossy(&answer)));
    }
    let (meta, data) = host::apart(&answer).ok_or_else(|| Error::new(ErrorKind::Other, "invoke", function, "the answer cannot be read", ""))?;
    let attributes = Json::parse(meta).unwrap_or(Json::Null); // empty when there are none
    let text = |name: &str| attributes[name].as_str().map(str::to_string);
    Ok(Answer { data: data.to_vec(), ty: text("type"), content_type: text("datacontenttype"), extensions: extensions_in(meta) })
}

fn error(status: i32, function: &str, said: &str) -> Error {
    let kind = match status {
        abi::STATUS_INVALID => ErrorKind::Invalid,
        abi::STATUS_DENIED => ErrorKind::Denied,
        abi::STATUS_NOT_FOUND => ErrorKind::NotFound,
        abi::STATUS_TOO_LARGE => ErrorKind::TooLarge,
        abi::STATUS_REJECTED => ErrorKind::Rejected,
        abi::STATUS_BUSY => ErrorKind::Busy,
        abi::STATUS_INTERNAL => ErrorKind::Failed,
        abi::STATUS_TRAPPED => ErrorKind::Trapped,
        abi::STATUS_UNAVAILABLE => ErrorKind::Unavailable,
        abi::STATUS_TIMEOUT => ErrorKind::TimedOut,
        abi::STATUS_LOOP => ErrorKind::Loop,
        _ => return Error::of_status(status, "invoke", function),
    };
    match said {
        "" => Error::new(kind, "invoke", function, &format!("status {}", status), ""),
        _ => Error::new(kind, "invoke", function, said, ""),
    }
}
