use crate::{json, Json};

/// The HTTP request that became an event. Its body is the event's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// GET, POST, …
    pub method: String,
    /// What follows `/fn/NAME`, decoded.
    pub path: String,
    /// The path as it came.
    pub raw_path: String,
    /// The pattern of the route that matched.
    pub route: String,
    /// The values of the route's names.
    pub params: Vec<(String, String)>,
    /// The query, in the order it came.
    pub query: Vec<(String, String)>,
    /// The headers, in the order they came; names are in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Reads part 3 of an event. None when it is no such thing; the runtime made it.
    pub(crate) fn read(text: &[u8]) -> Option<Request> {
        let from = Json::parse(text).ok()?;
        let text = |name: &str| from[name].as_str().unwrap_or_default().to_string();
        Some(Request {
            method: text("method"),
            path: text("path"),
            raw_path: text("rawPath"),
            route: text("route"),
            params: from["params"].as_object().unwrap_or_default().iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string()))).collect(),
            query: pairs(&from["query"]),
            headers: pairs(&from["headers"]),
        })
    }

    /// The first value of a header, in any case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        first_header(&self.headers, name)
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// The value of a name in the route.
    pub fn param(&self, name: &str) -> Option<&str> {
        first(&self.params, name)
    }

    /// The request as part 3 of an event.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn to_json(&self) -> Json {
        let list = |pairs: &[(String, String)]| Json::Array(pairs.iter().map(|(k, v)| json!([k, v])).collect());
        json!({
            "method": &self.method,
            "path": &self.path,
            "rawPath": &self.raw_path,
            "route": &self.route,
            "params": Json::Object(self.params.iter().map(|(k, v)| (k.clone(), v.into())).collect()),
            "query": list(&self.query),
            "headers": list(&self.headers)
        })
    }
}

/// The value of a list of pairs.
fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

pub(crate) fn first_header<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// Reads `[["name","value"],…]`.
pub(crate) fn pairs(from: &Json) -> Vec<(String, String)> {
    let pair = |p: &Json| Some((p[0].as_str()?.to_string(), p[1].as_str()?.to_string()));
    from.as_array().unwrap_or_default().iter().filter_map(pair).collect()
}

/// Writes `[["name","value"],…]`.
pub(crate) fn append_pairs(out: &mut String, pairs: &[(String, String)]) {
    out.push('[');
    for (i, (name, value)) in pairs.iter().enumerate() {
        out.push_str(if i > 0 { ",[" } else { "[" });
        json::quote(out, name);
        out.push(',');
        json::quote(out, value);
        out.push(']');
    }
    out.push(']');
}
