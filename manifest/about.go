package manifest

import "strings"

// description says in a line what the key at a path is for. What is the same in several places is described once, by the end of the path.
func description(path string) string {
	for {
		if text, ok := about[path]; ok {
			return text
		}
		_, rest, more := strings.Cut(path, ".")
		if !more {
			return ""
		}
		path = rest
	}
}

// about has a text for each key that is read; a test sees to it.
var about = map[string]string{
	"version":   "The version of this format: 1.",
	"app":       "The name of the app: what is deployed together.",
	"defaults":  "What holds for every function that does not say otherwise.",
	"functions": "The functions of the app, by name.",
	"topics":    "Topics that need settings; all others are there when they are used.",

	"timeout":        "The deadline of one attempt. Default 30s.",
	"memory":         "The limit of one instance. Default 64Mi.",
	"retry":          "When an event that failed is tried again, and how often.",
	"retry.attempts": "How many attempts there are in all.",
	"retry.initial":  "How long to wait before the second attempt.",
	"retry.factor":   "How many times longer each wait is than the one before.",
	"retry.max":      "The longest wait.",
	"retry.jitter":   "full: each wait is any part of its time, so that not all come at once. none: as it is.",
	"retry.maxAge":   "How long after its first attempt an event is given up on.",

	"functions.source":     "The directory of its Go package or Rust crate, or a file of TypeScript or JavaScript.",
	"functions.wasm":       "A module that is built already, instead of source.",
	"functions.on":         "What it handles: http, topic, cron, webhook; a list for several.",
	"functions.env":        "Its environment: texts that it reads as variables.",
	"functions.secrets":    "The secrets that it may read (fnctl secret set).",
	"functions.reuse":      "Leave in memory what an event left there, for the next one: faster, without isolation.",
	"functions.warm":       "The file of an event that it handles at the deploy, so that events find warm what the first one has to set up; for TypeScript and JavaScript.",
	"functions.weight":     "Its part of a busy node: 4 gets four times what 1 gets.",
	"functions.fair":       "An expression for a key: what the function gets is shared equally between keys.",
	"functions.allow":      "What it may do beside replying.",
	"allow.emit":           "The topics that it may emit events to; * stands for one token, > for the rest.",
	"allow.http":           "The hosts that it may send requests to, like api.stripe.com.",
	"allow.invoke":         "The functions that it may invoke.",
	"allow.state":          "Whether it may keep state, by the key of the event.",
	"functions.adaptive":   "false: its triggers do not slow down when what is behind it is overloaded.",
	"adaptive.latency":     "The time of an attempt beyond which it counts as overloaded.",
	"functions.deadLetter": "What else happens to events that were given up on.",
	"deadLetter.keep":      "How long they wait for somebody. Default 14d.",
	"deadLetter.topic":     "A topic that gets a copy of each.",
	"deadLetter.knative":   "Whether the copy has the attributes of Knative.",

	"functions.concurrency": "How many events run at once: a number for all, { limit, key } for those of each key, or a list of both.",
	"concurrency.limit":     "How many events of one key run at once.",
	"concurrency.key":       "An expression for the key, like subject or data.customer.",
	"functions.throttle":    "How many events begin in a period; those that are more wait.",
	"throttle.limit":        "How many begin in the period.",
	"throttle.period":       "The period, like 1s.",
	"throttle.burst":        "How many may begin at once.",
	"throttle.key":          "An expression for a key: each has the limit for itself.",
	"functions.rateLimit":   "How many events are taken in a period; those that are more are dropped.",
	"rateLimit.limit":       "How many are taken in the period.",
	"rateLimit.period":      "The period, like 1m.",
	"rateLimit.key":         "An expression for a key: each has the limit for itself.",
	"functions.scale":       "How many instances there are.",
	"scale.min":             "How many are kept ready.",
	"scale.max":             "How many there are at most.",

	"on.http":          "HTTP requests: at /fn/NAME, or at a path.",
	"http.method":      "The methods that it takes: one, or a list.",
	"http.path":        "A route like /orders/{id}; without one it is at /fn/NAME.",
	"http.host":        "The host name that the route is for.",
	"http.key":         "The key of a request: header.NAME, query.NAME, params.NAME or an expression.",
	"http.compress":    "Whether replies are compressed.",
	"http.cors":        "Which pages of other origins may call it.",
	"cors.origins":     `The origins, like https://shop.example, or "*".`,
	"cors.methods":     "The methods that they may use.",
	"cors.headers":     "The headers that they may send.",
	"cors.expose":      "The headers of the reply that they may read.",
	"cors.credentials": "Whether they may send cookies.",
	"cors.maxAge":      "How long browsers may remember this.",

	"on.topic":        "Events of a topic.",
	"topic.name":      "The topic; * stands for one token, > at the end for the rest.",
	"filter":          "Which events it is for: CESQL, or a filter like { exact: { type: com.shop.order } }.",
	"order":           "key: the events of a key run one after the other, in order.",
	"onFailure":       "When the head of a key is given up on: skip goes on with the next, park waits until somebody has seen to it.",
	"topic.start":     "Where it begins: latest, earliest, a time, a time span back like -2h, or a token.",
	"topic.delivery":  "atMostOnce: an event is settled before it runs, and never tried again.",
	"topic.priority":  "An expression for a number: events with a higher one run first.",
	"topic.batch":     "How many events come together: a number, or { size, window }.",
	"batch.size":      "How many come together at most.",
	"batch.window":    "How long the first of them waits for the others.",
	"on.cron":         `A schedule like "0 2 * * *" or @hourly.`,
	"cron.schedule":   `Five or six fields, @daily, or "@every 90s".`,
	"cron.timezone":   "The time zone of the schedule, like Europe/Berlin. Default UTC.",
	"cron.missed":     "What becomes of due times that nobody saw: the last one fires, all do, or none (skip).",
	"cron.overlap":    "When an earlier firing is not done: allow, skip or queue.",
	"cron.jitter":     "Fire later by any part of this time.",
	"on.webhook":      "Deliveries of another system, checked by their signature.",
	"webhook.scheme":  "How they are signed: github, stripe, slack, standard, hmac or none.",
	"webhook.secret":  "The name of the secret that they are signed with (fnctl secret set).",
	"webhook.path":    "Where they go, when it is not /webhooks/NAME.",
	"webhook.key":     "The key of a delivery: header.NAME, query.NAME or an expression.",
	"webhook.origins": "The hosts that may deliver, of the handshake of CloudEvents webhooks.",

	"webhook.tolerance":       "How far the time of a delivery may be from ours. Default 5m.",
	"webhook.idHeader":        "The header that has the id of a delivery, for the schemes hmac and none.",
	"webhook.header":          "Of hmac: the header that has the signature.",
	"webhook.prefix":          "Of hmac: what is before the signature, like sha256=.",
	"webhook.encoding":        "Of hmac: how the signature is written.",
	"webhook.algorithm":       "Of hmac: the hash function.",
	"webhook.timestampHeader": "Of hmac: the header that has the time.",
	"webhook.signed":          "Of hmac: what is signed, like {timestamp}.{body}.",

	"auth":         "Who may send: none (everybody), key, { jwt: … }, or a list of ways in.",
	"auth.key":     "Whoever has an API key (fnctl key).",
	"key.names":    "Only these API keys.",
	"auth.jwt":     "Whoever has a JSON Web Token of an issuer.",
	"jwt.issuer":   "Who made the token, like https://id.example.com.",
	"jwt.audience": "Who the token is for.",
	"jwt.jwks":     "Where the keys of the issuer are, when it does not say itself.",
	"jwt.claims":   "Claims that the token must have.",
	"jwt.forward":  "Claims that the function gets to see.",

	"topics.ingress":   "Whether events may come in from outside: POST /topics/NAME.",
	"topics.retention": "How long its events are kept.",
	"topics.unsettled": "What becomes of events that are older and not done: they are kept, or become dead letters.",
}
