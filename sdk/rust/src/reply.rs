use crate::event::{JSON, TEXT};
use crate::request::append_pairs;
use crate::{abi, host, json, Error, ErrorKind, Failure, Json};

/// The answer to an event. A caller that waits gets it: the HTTP client, or `fnctl invoke`. For the event of a topic it is kept in the history only. A handler
/// may also return `()`, text, bytes or [`Json`], which become one.
///
/// ```
/// use evoke::{json, Event, Reply};
///
/// fn create(event: &Event) -> evoke::Result {
///     Ok(Reply::json(json!({ "id": event.id() })).with_status(201).with_header("location", "/orders/1"))
/// }
/// # let got = evoke::testing::Runtime::new().serve(create, evoke::Request { method: "POST".into(), ..Default::default() }, b"");
/// # assert_eq!((got.status, got.headers[1].1.as_str()), (201, "/orders/1"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    content_type: Option<String>,
    data: Vec<u8>,
}

impl Reply {
    /// Replies with nothing.
    pub fn none() -> Reply {
        Reply::default()
    }

    /// Replies with plain text.
    pub fn text(text: impl Into<String>) -> Reply {
        Reply::bytes(TEXT, text.into())
    }

    /// Replies with JSON.
    pub fn json(value: impl Into<Json>) -> Reply {
        Reply::bytes(JSON, value.into().to_string())
    }

    /// Replies with a value of your own type, as JSON.
    #[cfg(feature = "serde")]
    pub fn encode<T: serde::Serialize + ?Sized>(value: &T) -> Result<Reply, Error> {
        Ok(Reply::bytes(JSON, crate::typed::encode(value, "write the reply", "")?))
    }

    /// Replies with bytes of a content type, 1 MiB at most.
    pub fn bytes(content_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Reply {
        Reply { content_type: Some(content_type.into()), data: data.into(), ..Reply::default() }
    }

    /// The reply with an HTTP status, 200 to 599. Without one it is 200, or 204 when there is no data. It says nothing of what becomes of the event: one that
    /// was answered 500 is done.
    pub fn with_status(mut self, status: u16) -> Reply {
        self.status = Some(status);
        self
    }

    /// The reply with one more header, only for HTTP requests. A name may come more than once, as `set-cookie` does.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn send(&self, ev: i32) -> Result<(), Error> {
        if let Some(meta) = self.meta(host::event_len(ev, abi::PART_REQUEST) >= 0) {
            check(host::reply(abi::REPLY_JSON, meta.as_bytes()))?;
        }
        if self.data.is_empty() {
            return Ok(());
        }
        check(host::reply(abi::REPLY_DATA, &self.data))
    }

    /// The JSON of the reply; None when there is nothing to say.
    fn meta(&self, to_http: bool) -> Option<String> {
        let mut out = String::new();
        if !to_http {
            out.push_str("{\"datacontenttype\":");
            json::quote(&mut out, self.content_type.as_deref()?);
            out.push('}');
            return Some(out);
        }
        out.push('{');
        if let Some(status) = self.status {
            out.push_str("\"status\":");
            out.push_str(&status.to_string());
            out.push(',');
        }
        out.push_str("\"headers\":");
        let mut headers = Vec::with_capacity(1 + self.headers.len());
        headers.extend(self.content_type.iter().map(|t| ("content-type".to_string(), t.clone())));
        headers.extend_from_slice(&self.headers);
        append_pairs(&mut out, &headers);
        out.push('}');
        Some(out)
    }
}

fn check(result: i32) -> Result<(), Error> {
    match result {
        abi::TOO_LARGE => Err(Error::new(ErrorKind::TooLarge, "reply", "", "too large", "a reply has at most 1 MiB")),
        n if n < 0 => Err(Error::new(ErrorKind::Invalid, "reply", "", "invalid", "a status is 200 to 599")),
        _ => Ok(()),
    }
}

impl From<()> for Reply {
    fn from(_: ()) -> Reply {
        Reply::none()
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Reply {
        Reply::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Reply {
        Reply::text(text)
    }
}

impl From<Json> for Reply {
    fn from(value: Json) -> Reply {
        Reply::json(value)
    }
}

/// The runtime looks at the data for its content type: JSON, UTF-8 text or bytes.
impl From<Vec<u8>> for Reply {
    fn from(data: Vec<u8>) -> Reply {
        Reply { data, ..Reply::default() }
    }
}

/// Gives an event that has been handled its verdict.
pub(crate) fn judge(failure: Option<&Failure>) -> (i32, i64, &str) {
    match failure {
        None => (abi::DONE, -1, ""),
        Some(f) if f.rejected => (abi::REJECTED, -1, &f.text),
        Some(f) => (abi::FAILED, f.retry_after.map_or(-1, |d| d.as_millis().min(i64::MAX as u128) as i64), &f.text),
    }
}
