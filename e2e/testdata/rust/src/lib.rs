//! The type of the event says what it does: each ability of the SDK once, in the real sandbox.

use std::cell::RefCell;
use std::time::Duration;

use evoke::{json, state, ErrorKind, Event, Fetch, Json, Reply};

thread_local!(static READY: RefCell<&'static str> = RefCell::new("no"));

evoke::handler!(handle, init = || {
    READY.with(|r| *r.borrow_mut() = "yes");
    evoke::info!("initialised with {}", evoke::config("COLOUR")?.unwrap_or_default());
    Ok(())
});

fn handle(event: &Event) -> evoke::Result {
    match event.ty() {
        "echo" => Ok(Reply::from(event.data().to_vec())),
        "event" => Ok(Reply::json(attributes(event))),
        "dev.evoke.http.request" => http(event),
        "emit" => {
            let out = Event::new("com.example.out", "text").with_subject("s").with_extension("n", 7).with_extension("yes", true);
            evoke::emit("out", &out)?;
            evoke::emit("out", &Event::new("com.example.json", json!({ "a": 1 })))?;
            let refused = evoke::emit("elsewhere", &out).expect_err("it is not allowed");
            Ok(Reply::text(refused.to_string()))
        }
        "state" => {
            let before = state::get_json("n")?.and_then(|n| n.as_i64());
            state::set("n", "8")?;
            state::set("m", "1")?;
            state::delete("old")?;
            Ok(Reply::json(json!({ "before": before, "names": state::list("")? })))
        }
        "settings" => {
            let refused = evoke::secret("other").expect_err("it is not listed");
            Ok(Reply::json(json!({
                "config": evoke::config("COLOUR")?,
                "none": evoke::config("SHAPE")?,
                "env": std::env::var("COLOUR").unwrap_or_default(),
                "secret": evoke::secret("token")?,
                "refused": refused.to_string(),
                "ready": READY.with(|r| *r.borrow()),
                "time": evoke::time_left() > Duration::from_secs(1)
            })))
        }
        "fetch" => fetch(),
        "invoke" => match evoke::invoke("price", &Event::new("ask", json!({ "article": "tea" }))) {
            Ok(answer) => Ok(Reply::json(answer.json()?)),
            Err(e) if e.kind() == ErrorKind::Rejected => Ok(Reply::text(e.reason())),
            Err(e) => Err(e.into()),
        },
        "retry" => Err(evoke::retry_after(Duration::from_secs(90), "not now")),
        "error" => Ok(Reply::text(event.text()?.trim().parse::<i32>()?.to_string())),
        "panic" => panic!("out of {}", "cheese"),
        "loop" => loop {
            std::hint::spin_loop()
        },
        other => Err(evoke::reject(format!("no such type: {}", other))),
    }
}

fn attributes(event: &Event) -> Json {
    let mut extensions: Vec<String> = event.extensions().iter().map(|(name, value)| format!("{}={}", name, value)).collect();
    extensions.sort();
    json!({
        "id": event.id(),
        "source": event.source(),
        "subject": event.subject(),
        "time": event.time(),
        "content_type": event.content_type(),
        "schema": event.data_schema(),
        "key": event.key(),
        "extensions": extensions,
        "number": event.extension("number")
    })
}

fn http(event: &Event) -> evoke::Result {
    let request = event.request().ok_or_else(|| evoke::fail("it is a request"))?;
    let text = format!(
        "{} {} {} {} {}",
        request.method,
        request.path,
        request.param("id").unwrap_or("-"),
        request.query("q").unwrap_or("-"),
        request.header("X-Colour").unwrap_or("-")
    );
    Ok(Reply::text(text).with_status(201).with_header("set-cookie", "a=1").with_header("set-cookie", "b=2"))
}

fn fetch() -> evoke::Result {
    let requests = ["https://a.example/1", "https://b.example/2?secret=x", "https://c.example/3"];
    let mut out = Vec::new();
    for response in evoke::fetch_all(requests.iter().map(|url| Fetch::post(*url, "body").header("x-n", "1").timeout(Duration::from_secs(2)))) {
        out.push(match response {
            Ok(r) => json!([i32::from(r.status), r.header("X-Answer"), r.json()?]),
            Err(e) => json!([e.to_string(), e.kind() == ErrorKind::Denied]),
        });
    }
    Ok(Reply::json(out))
}
