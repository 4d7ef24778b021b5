package history

import (
	"strconv"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/wire"
)

// appendLine appends an entry as encoding/json would, which takes five times as long, for every attempt there is.
func appendLine(b []byte, e *api.LogEntry) []byte {
	b = appendTime(append(b, `{"time":`...), e.Time)
	b = wire.AppendJSON(append(b, `,"namespace":`...), e.Namespace)
	b = wire.AppendJSON(append(b, `,"function":`...), e.Function)
	b = appendInt(b, `,"revision":`, int64(e.Revision))
	b = wire.AppendJSON(append(b, `,"invocation":`...), e.Invocation)
	b = wire.AppendJSON(append(b, `,"eventId":`...), e.EventID)
	b = appendText(b, `,"trigger":`, e.Trigger)
	b = appendText(b, `,"batch":`, e.Batch)
	b = wire.AppendJSON(append(b, `,"level":`...), e.Level)
	b = appendText(b, `,"message":`, e.Message)
	if e.Attempt != nil {
		b = appendAttempt(append(b, `,"attempt":`...), e.Attempt)
	}
	b = appendText(b, `,"next":`, e.Next)
	if !e.RetryAt.IsZero() {
		b = appendTime(append(b, `,"retryAt":`...), e.RetryAt)
	}
	return append(b, "}\n"...)
}

func appendAttempt(b []byte, a *api.Attempt) []byte {
	b = appendInt(b, `{"attempt":`, int64(a.Attempt))
	b = appendInt(b, `,"revision":`, int64(a.Revision))
	b = appendTime(append(b, `,"start":`...), a.Start)
	b = append(append(b, `,"duration":"`...), time.Duration(a.Duration).String()...)
	b = wire.AppendJSON(append(b, `","verdict":`...), a.Verdict)
	b = appendText(b, `,"class":`, a.Class)
	b = appendText(b, `,"error":`, a.Error)
	b = appendText(b, `,"trace":`, a.Trace)
	b = appendText(b, `,"span":`, a.Span)
	if a.Bill != (api.Bill{}) {
		b = appendBill(append(b, `,"bill":`...), &a.Bill)
	}
	return append(b, '}')
}

func appendBill(b []byte, bill *api.Bill) []byte {
	b = appendInt(b, `{"wallNs":`, int64(bill.Wall))
	b = appendInt(b, `,"guestNs":`, int64(bill.Guest))
	b = appendInt(b, `,"fuel":`, bill.Fuel)
	b = appendInt(b, `,"peakMemoryBytes":`, bill.PeakMemory)
	b = appendInt(b, `,"bytesIn":`, bill.BytesIn)
	b = appendInt(b, `,"bytesOut":`, bill.BytesOut)
	b = appendInt(b, `,"hostCalls":`, bill.HostCalls)
	return append(b, '}')
}

// appendText leaves an empty one out.
func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return wire.AppendJSON(append(b, name...), text)
}

func appendInt(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
