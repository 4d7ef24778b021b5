package api

import "encoding/json"

// What fnctl test and `runtime test` say to each other, over stdin and stdout: one JSON value after the other. A Trial comes first and is answered by a TrialReport;
// then each TrialCase is answered by a TrialResult, in order.

// Trial is a function to be tried.
type Trial struct {
	Function string       `json:"function"`
	Module   []byte       `json:"module"`
	Spec     FunctionSpec `json:"spec"`
	// Cache is a directory for compiled code, so that the next trial of the same module need not compile it; "" = none. Trials may share it.
	Cache string `json:"cache,omitempty"`
}

// TrialReport says whether the function can run.
type TrialReport struct {
	// Error is why it cannot; "" = it can, and cases may follow.
	Error    string   `json:"error,omitempty"`
	Advice   string   `json:"advice,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// TrialCase is one event for it.
type TrialCase struct {
	// Event is a whole CloudEvent in JSON.
	Event json.RawMessage `json:"event"`
	// Request is the HTTP request that it was (docs/abi.md, part 3); absent for none.
	Request json.RawMessage `json:"request,omitempty"`
	// More are the events behind it, when they come as a batch.
	More  []json.RawMessage `json:"more,omitempty"`
	Stubs TrialStubs        `json:"stubs"`
}

// TrialStubs are what the function finds outside of itself. Values are JSON: a text stands for itself, all else for its JSON text.
type TrialStubs struct {
	// State are the entries under the event's key.
	State   map[string]json.RawMessage `json:"state,omitempty"`
	Secrets map[string]string          `json:"secrets,omitempty"`
	// HTTP are tried in order; the first that fits answers.
	HTTP []TrialResponse `json:"http,omitempty"`
	// Invoke has a reply for each function that may be invoked.
	Invoke map[string]TrialReply `json:"invoke,omitempty"`
}

// TrialResponse answers a request of http.fetch.
type TrialResponse struct {
	// Method is which one it is for; "" = any.
	Method string `json:"method,omitempty"`
	// URL is which one it is for, whole; a * at its end stands for any rest.
	URL string `json:"url"`
	// Status defaults to 200.
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Data    json.RawMessage   `json:"data,omitempty"`
	// Error makes the request fail with this text, as if nobody answered.
	Error string `json:"error,omitempty"`
}

// TrialReply is what a function that is invoked answers.
type TrialReply struct {
	// Verdict is "done" (default), "failed" or "rejected".
	Verdict    string          `json:"verdict,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// TrialResult is what the function did.
type TrialResult struct {
	// Error says that the case could not be run; nothing else is set then.
	Error string `json:"error,omitempty"`

	Verdict    string          `json:"verdict,omitempty"`
	Class      string          `json:"class,omitempty"` // as in Invocation
	Reason     string          `json:"reason,omitempty"`
	RetryAfter Duration        `json:"retryAfter,omitempty"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
	Data       []byte          `json:"data,omitempty"`
	Emitted    []TrialEmitted  `json:"emitted,omitempty"`
	// State are the entries that it wrote; null = it deleted one.
	State map[string][]byte `json:"state,omitempty"`

	// More is what became of the events behind the first one of a batch: verdicts, without effects.
	More []TrialResult `json:"more,omitempty"`

	Log []TrialLine `json:"log,omitempty"`
	// Missing is what it asked for that no stub has.
	Missing  []string `json:"missing,omitempty"`
	Duration Duration `json:"duration"`
}

// TrialEmitted is an event that the function emitted, with the attributes that it gave it.
type TrialEmitted struct {
	Topic      string          `json:"topic"`
	Attributes json.RawMessage `json:"attributes"`
	Data       []byte          `json:"data,omitempty"`
}

// TrialLine is a line that the function logged.
type TrialLine struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}
