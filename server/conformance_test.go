package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// jsonEvent is a valid event with members added; one that begins with - is left out.
func jsonEvent(changes ...string) string {
	members := []string{`"specversion":"1.0"`, `"id":"1"`, `"source":"/a"`, `"type":"t"`}
	var kept []string
	for _, m := range members {
		drop := false
		for _, c := range changes {
			name, found := strings.CutPrefix(c, "-")
			drop = drop || found && strings.HasPrefix(m, `"`+name+`"`)
		}
		if !drop {
			kept = append(kept, m)
		}
	}
	for _, c := range changes {
		if !strings.HasPrefix(c, "-") {
			kept = append(kept, c)
		}
	}
	return "{" + strings.Join(kept, ",") + "}"
}

// Every rule of CloudEvents 1.0.2 for attributes, types, the JSON format and the HTTP binding that an event can break. Each names the attribute.
func TestEveryRuleOfCloudEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	type request struct {
		header []string // nil = structured
		body   string
		status int // 0 = 400
		detail string
	}
	for name, tt := range map[string]request{
		// Required attributes: there, not null, not empty, strings.
		"id is missing":             {body: jsonEvent("-id"), detail: `required attribute "id" is missing or empty`},
		"id is null":                {body: jsonEvent("-id", `"id":null`), detail: `required attribute "id"`},
		"id is empty":               {body: jsonEvent("-id", `"id":""`), detail: `required attribute "id"`},
		"id is a number":            {body: jsonEvent("-id", `"id":7`), detail: `attribute "id" must be a JSON string, not 7`},
		"source is missing":         {body: jsonEvent("-source"), detail: `required attribute "source"`},
		"source is empty":           {body: jsonEvent("-source", `"source":""`), detail: `required attribute "source"`},
		"type is missing":           {body: jsonEvent("-type"), detail: `required attribute "type"`},
		"type is empty":             {body: jsonEvent("-type", `"type":""`), detail: `required attribute "type"`},
		"type is an object":         {body: jsonEvent("-type", `"type":{}`), detail: `attribute "type" must be a JSON string, not {}`},
		"specversion is missing":    {body: jsonEvent("-specversion"), detail: `required attribute "specversion"`},
		"specversion is empty":      {body: jsonEvent("-specversion", `"specversion":""`), detail: `required attribute "specversion"`},
		"specversion is a number":   {body: jsonEvent("-specversion", `"specversion":1.0`), detail: `attribute "specversion" must be a JSON string, not 1.0`},
		"specversion is old":        {body: jsonEvent("-specversion", `"specversion":"0.3"`), detail: `specversion "0.3" is not supported`},
		"specversion is to come":    {body: jsonEvent("-specversion", `"specversion":"1.1"`), detail: `specversion "1.1" is not supported`},
		"binary, id is empty":       {header: with("Ce-Id", ""), detail: `required attribute "id" is missing or empty (header Ce-Id)`},
		"binary, old specversion":   {header: with("Ce-Specversion", "1"), detail: `specversion "1" is not supported`},
		"binary, source is missing": {header: without("Ce-Source"), detail: `required attribute "source" is missing or empty (header Ce-Source)`},

		// Optional attributes: not empty when they are there.
		"subject is empty":             {body: jsonEvent(`"subject":""`), detail: `attribute "subject" is empty`},
		"dataschema is empty":          {body: jsonEvent(`"dataschema":""`), detail: `attribute "dataschema" is empty`},
		"datacontenttype is empty":     {body: jsonEvent(`"datacontenttype":""`), detail: `attribute "datacontenttype" is empty`},
		"time is empty":                {body: jsonEvent(`"time":""`), detail: `attribute "time" is empty`},
		"binary, subject is empty":     {header: with("Ce-Subject", ""), detail: `attribute "subject" is empty; give it a value or leave it out (header Ce-Subject)`},
		"binary, time is empty":        {header: with("Ce-Time", ""), detail: `attribute "time" is empty`},
		"binary, dataschema is empty":  {header: with("Ce-Dataschema", ""), detail: `attribute "dataschema" is empty`},
		"subject is a number":          {body: jsonEvent(`"subject":1`), detail: `attribute "subject" must be a JSON string, not 1`},
		"datacontenttype is a boolean": {body: jsonEvent(`"datacontenttype":true`), detail: `attribute "datacontenttype" must be a JSON string, not true`},

		// URI references and URIs.
		"source with a space":           {body: jsonEvent("-source", `"source":"/a b"`), detail: `attribute "source" is "/a b", not a URI reference: what is at byte 2 must be written as %20`},
		"source beyond ASCII":           {body: jsonEvent("-source", `"source":"/é"`), detail: `attribute "source" is "/é", not a URI reference: what is at byte 1 must be written as %C3`},
		"source with half an escape":    {body: jsonEvent("-source", `"source":"/a%2"`), detail: `the % at byte 2 needs two hex digits`},
		"source with two fragments":     {body: jsonEvent("-source", `"source":"/a#b#c"`), detail: `attribute "source"`},
		"source with a colon too early": {body: jsonEvent("-source", `"source":"1:2"`), detail: `attribute "source" is "1:2", not a URI reference: first path segment in URL cannot contain colon`},
		"source with a bad host":        {body: jsonEvent("-source", `"source":"http://[::1"`), detail: `attribute "source"`},
		"dataschema without scheme":     {body: jsonEvent(`"dataschema":"/schema"`), detail: `attribute "dataschema" is "/schema", not a URI: it has no scheme`},
		"dataschema with a space":       {body: jsonEvent(`"dataschema":"https://x/a b"`), detail: `attribute "dataschema"`},
		"binary, source with a space":   {header: with("Ce-Source", "/a%20b"), detail: `attribute "source" is "/a b", not a URI reference`},
		"binary, dataschema":            {header: with("Ce-Dataschema", "x/y"), detail: `attribute "dataschema" is "x/y", not a URI`},

		// Times.
		"time without zone":        {body: jsonEvent(`"time":"2026-01-31T12:00:00"`), detail: `attribute "time" is "2026-01-31T12:00:00", not an RFC 3339 time`},
		"time with a short hour":   {body: jsonEvent(`"time":"2026-01-31T1:00:00Z"`), detail: `attribute "time"`},
		"time with a comma":        {body: jsonEvent(`"time":"2026-01-31T12:00:00,5Z"`), detail: `attribute "time"`},
		"time with a space":        {body: jsonEvent(`"time":"2026-01-31 12:00:00Z"`), detail: `attribute "time"`},
		"time of no day":           {body: jsonEvent(`"time":"2026-02-30T12:00:00Z"`), detail: `attribute "time"`},
		"time with a wide zone":    {body: jsonEvent(`"time":"2026-01-31T12:00:00+24:00"`), detail: `attribute "time"`},
		"time is a number":         {body: jsonEvent(`"time":1769860800`), detail: `attribute "time" must be a JSON string`},
		"binary, time":             {header: with("Ce-Time", "noon"), detail: `attribute "time" is "noon", not an RFC 3339 time such as 2026-01-31T12:00:00Z (header Ce-Time)`},
		"expirytime":               {body: jsonEvent(`"expirytime":"tomorrow"`), detail: `attribute "expirytime" is "tomorrow", not an RFC 3339 time`},
		"binary, expirytime":       {header: with("Ce-Expirytime", "60"), detail: `attribute "expirytime" is "60", not an RFC 3339 time`},
		"expirytime is a number":   {body: jsonEvent(`"expirytime":60`), detail: `attribute "expirytime" is "60", not an RFC 3339 time`},
		"time before what is kept": {body: jsonEvent(`"time":"1600-01-01T00:00:00Z"`), detail: `attribute "time" is in the year 1600`},

		// The media type of the data.
		"datacontenttype without subtype": {body: jsonEvent(`"datacontenttype":"text"`), detail: `attribute "datacontenttype" is "text", not a media type such as application/json`},
		"datacontenttype with spaces":     {body: jsonEvent(`"datacontenttype":"text / plain"`), detail: `attribute "datacontenttype"`},
		"datacontenttype, bad parameter":  {body: jsonEvent(`"datacontenttype":"text/plain; charset"`), detail: `attribute "datacontenttype"`},
		"binary, datacontenttype":         {header: with("Content-Type", "jpeg"), detail: `attribute "datacontenttype" is "jpeg", not a media type`},
		"binary, Ce-Datacontenttype":      {header: with("Ce-Datacontenttype", "text/plain"), detail: `attribute "datacontenttype" belongs into the header Content-Type`},

		// Names.
		"name in upper case":   {body: jsonEvent(`"myExt":"x"`), detail: `extension name "myExt" may only have lower-case letters and digits`},
		"name with a dash":     {body: jsonEvent(`"my-ext":"x"`), detail: `extension name "my-ext"`},
		"name with a line":     {body: jsonEvent(`"my_ext":"x"`), detail: `extension name "my_ext"`},
		"name beyond ASCII":    {body: jsonEvent(`"é":"x"`), detail: `extension name "é"`},
		"no name":              {body: jsonEvent(`"":"x"`), detail: `extension name "" must have 1 to 64 characters`},
		"name is too long":     {body: jsonEvent(`"` + strings.Repeat("x", 65) + `":"x"`), detail: `must have 1 to 64 characters`},
		"ID is not id":         {body: jsonEvent("-id", `"ID":"1"`), detail: `"ID"`},
		"binary, dash in name": {header: with("Ce-My-Ext", "1"), detail: `header Ce-My-Ext is no attribute`},
		"binary, Ce-Data":      {header: with("Ce-Data", "1"), detail: `"data" is a context attribute, not an extension`},

		// Types of extensions.
		"integer beyond 32 bits":     {body: jsonEvent(`"n":2147483648`), detail: `extension "n" is 2147483648, not a 32-bit whole number`},
		"integer below 32 bits":      {body: jsonEvent(`"n":-2147483649`), detail: `extension "n" is -2147483649, not`},
		"integer with a fraction":    {body: jsonEvent(`"n":1.0`), detail: `extension "n" is 1.0, not a 32-bit whole number`},
		"integer with an exponent":   {body: jsonEvent(`"n":1e2`), detail: `extension "n" is 1e2, not`},
		"extension is an object":     {body: jsonEvent(`"x":{"y":1}`), detail: `extension "x" must be a string, number or boolean, not {"y":1}`},
		"extension is an array":      {body: jsonEvent(`"x":[1]`), detail: `extension "x" must be a string, number or boolean, not [1]`},
		"control character":          {body: jsonEvent(`"subject":"a\u0000b"`), detail: `attribute "subject" has a control character at byte 1`},
		"control character C1":       {body: jsonEvent(`"x":"\u0085"`), detail: `attribute "x" has a control character at byte 0`},
		"half a surrogate pair":      {body: jsonEvent(`"subject":"\ud800"`), detail: `attribute "subject" has one half of a surrogate pair`},
		"other half":                 {body: jsonEvent(`"x":"a\udc00"`), detail: `attribute "x" has one half of a surrogate pair`},
		"no character":               {body: jsonEvent(`"subject":"\ufffe"`), detail: `attribute "subject" has at byte 0 what Unicode says is no character (U+FFFE)`},
		"binary, control character":  {header: with("Ce-Subject", "a%0Ab"), detail: `attribute "subject" has a control character at byte 1`},
		"binary, no UTF-8":           {header: with("Ce-Subject", "%C0%A0"), detail: `attribute "subject" is not valid UTF-8`},
		"binary, no UTF-8 in a name": {header: with("Ce-Note", "\xff"), detail: `attribute "note" is not valid UTF-8`},
		"attribute is too long":      {body: jsonEvent(`"subject":"` + strings.Repeat("x", 65537) + `"`), detail: `attribute "subject" has 65537 bytes, the limit is 65536`},

		// The HTTP binding.
		"binary, twice":               {header: append(with(), "Ce-Id", "2"), detail: `attribute "id" is there 2 times (header Ce-Id)`},
		"binary, extension twice":     {header: with("Ce-Tenant", "2", "Ce-Tenant", "2"), detail: `attribute "tenant" is there 2 times`},
		"binary, content type twice":  {header: append(with(), "Content-Type", "a/b"), detail: `attribute "datacontenttype" is there 2 times`},
		"structured, other charset":   {header: []string{"Content-Type", structuredType + "; charset=utf-16"}, body: jsonEvent(), status: 415, detail: `the event is written in charset "utf-16"`},
		"batch, other charset":        {header: []string{"Content-Type", batchType + "; charset=iso-8859-1"}, body: "[]", status: 415, detail: `charset "iso-8859-1"`},
		"structured, other format":    {header: []string{"Content-Type", "application/cloudevents+xml"}, body: "<event/>", status: 415, detail: `event format "application/cloudevents+xml" is not known here`},
		"structured, no format":       {header: []string{"Content-Type", "application/cloudevents"}, body: jsonEvent(), status: 415, detail: `event format "application/cloudevents" is not known here`},
		"headers do not help a body":  {header: with("Content-Type", structuredType), body: jsonEvent("-id"), detail: `required attribute "id" is missing or empty`},
		"binary without specversion":  {header: without("Ce-Specversion"), detail: `required attribute "specversion" is missing or empty (header Ce-Specversion)`},
		"all that is wrong, in order": {header: with("Ce-A-B", "1", "Ce-Time", "noon"), detail: `attribute "time" is "noon", not an RFC 3339 time such as 2026-01-31T12:00:00Z (header Ce-Time); header Ce-A-B is no attribute`},

		// The JSON format.
		"member twice":            {body: jsonEvent(`"id":"2"`), detail: `attribute "id" is there twice`},
		"escaped member twice":    {body: jsonEvent(`"\u0069d":"2"`), detail: `attribute "id" is there twice`},
		"extension member twice":  {body: jsonEvent(`"x":1`, `"x":2`), detail: `attribute "x" is there twice`},
		"data twice":              {body: jsonEvent(`"data":1`, `"data":2`), detail: `attribute "data" is there twice`},
		"data and data_base64":    {body: jsonEvent(`"data":1`, `"data_base64":"YQ=="`), detail: `both "data" and "data_base64"`},
		"data_base64, no base64":  {body: jsonEvent(`"data_base64":"*"`), detail: `"data_base64" is not base64`},
		"data_base64, no padding": {body: jsonEvent(`"data_base64":"YQ"`), detail: `"data_base64" is not base64`},
		"data_base64, no string":  {body: jsonEvent(`"data_base64":1`), detail: `"data_base64" must be a JSON string`},
		"text with half a pair":   {body: jsonEvent(`"datacontenttype":"text/plain"`, `"data":"\ud800"`), detail: `"data" has one half of a surrogate pair`},
		"no UTF-8":                {body: jsonEvent("\"subject\":\"\xff\""), detail: `the JSON of the event is not valid UTF-8 at byte `},
		"no UTF-8 in the data":    {body: jsonEvent("\"data\":{\"a\":\"\xff\"}"), detail: `not valid UTF-8`},
		"an array":                {body: "[" + jsonEvent() + "]", detail: "event is not a JSON object: it is of the kind array"},
		"null":                    {body: "null", detail: "event is not a JSON object"},
		"two events":              {body: jsonEvent() + jsonEvent(), detail: "event is not a JSON object: invalid character '{' after top-level value"},
		"a byte order mark":       {body: "\ufeff" + jsonEvent(), detail: "event is not a JSON object"},
		"cut":                     {body: jsonEvent()[:20], detail: "event is not a JSON object: unexpected end of JSON input"},
		"nothing":                 {body: "", detail: "event is not a JSON object"},
		"data nested too deep":    {body: jsonEvent(`"data":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), detail: "exceeded max depth"},

		// Batches: all or none, and which one it was.
		"batch, one bad":       {header: []string{"Content-Type", batchType}, body: "[" + jsonEvent() + "," + jsonEvent("-id", `"id":"2"`, `"subject":""`) + "]", detail: `event 2 of the batch: attribute "subject" is empty`},
		"batch, one no object": {header: []string{"Content-Type", batchType}, body: "[" + jsonEvent() + ",7]", detail: `event 2 of the batch: event is not a JSON object: it is of the kind number`},
		"batch, one no JSON":   {header: []string{"Content-Type", batchType}, body: "[" + jsonEvent() + ",{]", detail: `event 2 of the batch: event is not a JSON object: invalid character ']'`},
		"batch, no comma":      {header: []string{"Content-Type", batchType}, body: "[" + jsonEvent() + jsonEvent() + "]", detail: `the batch has '{' behind event 1`},
		"batch of batches":     {header: []string{"Content-Type", batchType}, body: "[[]]", detail: `event 1 of the batch: event is not a JSON object`},
	} {
		t.Run(name, func(t *testing.T) {
			header, status := tt.header, tt.status
			if header == nil {
				header = []string{"Content-Type", structuredType}
			}
			if status == 0 {
				status = 400
			}
			p := b.do("POST", b.gateway+"/topics/orders", tt.body, header...).problem(t)
			if p.Status != status || !strings.Contains(p.Detail, tt.detail) || strings.Contains(p.Detail, "\n") || p.Next == "" {
				t.Errorf("got %+v, want %d %s", p, status, tt.detail)
			}
		})
	}
	if n := len(b.stored("default", "orders")); n != 0 {
		t.Errorf("%d events of refused requests were stored", n)
	}
}

// What the rules allow is taken, and comes out as it went in.
func TestWhatTheRulesAllow(t *testing.T) {
	t.Parallel()
	structured := []string{"Content-Type", structuredType}
	for name, tt := range map[string]struct {
		header []string
		body   string
		want   string // members of the stored event
	}{
		"the least":                      {header: structured, body: jsonEvent(), want: `{}`},
		"null members are absent":        {header: structured, body: jsonEvent(`"subject":null`, `"time":null`, `"x":null`, `"data":null`, `"data_base64":null`), want: `{}`},
		"integers to the edge":           {header: structured, body: jsonEvent(`"a":2147483647`, `"b":-2147483648`, `"c":0`), want: `{"a":2147483647,"b":-2147483648,"c":0}`},
		"booleans":                       {header: structured, body: jsonEvent(`"a":true`, `"b":false`), want: `{"a":true,"b":false}`},
		"an empty extension":             {header: structured, body: jsonEvent(`"a":""`), want: `{"a":""}`},
		"a source without scheme":        {header: structured, body: jsonEvent("-source", `"source":"a/b?c=d#e"`), want: `{"source":"a/b?c=d#e"}`},
		"a source that is a URN":         {header: structured, body: jsonEvent("-source", `"source":"urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"`), want: `{"source":"urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"}`},
		"a source that is an address":    {header: structured, body: jsonEvent("-source", `"source":"mailto:cncf@example.com"`), want: `{"source":"mailto:cncf@example.com"}`},
		"a time in lower case":           {header: structured, body: jsonEvent(`"time":"2026-01-31t12:00:00.5z"`), want: `{"time":"2026-01-31T12:00:00.5Z"}`},
		"a leap second":                  {header: structured, body: jsonEvent(`"time":"2016-12-31T23:59:60Z"`), want: `{"time":"2017-01-01T00:00:00Z"}`},
		"a zone":                         {header: structured, body: jsonEvent(`"time":"2026-01-31T12:00:00-05:30"`), want: `{"time":"2026-01-31T12:00:00-05:30"}`},
		"a name of 20 and of 64":         {header: structured, body: jsonEvent(`"`+strings.Repeat("a", 20)+`":"x"`, `"`+strings.Repeat("b", 64)+`":"x"`), want: `{"` + strings.Repeat("a", 20) + `":"x"}`},
		"extensions as they came":        {header: structured, body: jsonEvent(`"partitionkey":" k\"1 "`, `"sequence":"00000000000000000041"`, `"dataref":"https://x/y?z=%20"`, `"traceparent":"no trace"`), want: `{"partitionkey":" k\"1 ","sequence":"00000000000000000041","dataref":"https://x/y?z=%20","traceparent":"no trace"}`},
		"JSON data, type absent":         {header: structured, body: jsonEvent(`"data": {"a": [1, 2.50]} `), want: `{"data":{"a": [1, 2.50]}}`},
		"JSON data that is text":         {header: structured, body: jsonEvent(`"datacontenttype":"application/vnd.x+json"`, `"data":"a"`), want: `{"data":"a"}`},
		"JSON of any kind":               {header: structured, body: jsonEvent(`"datacontenttype":"image/JSON; a=b"`, `"data":[true]`), want: `{"data":[true]}`},
		"text data":                      {header: structured, body: jsonEvent(`"data":"a\"b"`, `"datacontenttype":"text/plain; charset=utf-8"`), want: `{"data":"a\"b"}`},
		"bytes":                          {header: structured, body: jsonEvent(`"datacontenttype":"image/x"`, `"data_base64":"/wA="`), want: `{"data_base64":"/wA="}`},
		"a character of two halves":      {header: structured, body: jsonEvent(`"subject":"\ud83d\ude00"`), want: `{"subject":"😀"}`},
		"a charset that is said":         {header: []string{"Content-Type", structuredType + "; charset=UTF-8"}, body: jsonEvent(), want: `{}`},
		"a content type in capitals":     {header: []string{"Content-Type", "Application/CloudEvents+JSON"}, body: jsonEvent(), want: `{}`},
		"the body counts":                {header: with("Content-Type", structuredType, "Ce-Id", "other", "Ce-Note", "x"), body: jsonEvent(`"subject":"mine"`), want: `{"id":"1","subject":"mine"}`},
		"binary, encoded":                {header: with("Ce-Subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"), want: `{"subject":"Euro € 😀"}`},
		"binary, encoded once":           {header: with("Ce-Subject", "%2541"), want: `{"subject":"%41"}`},
		"binary, encoded without need":   {header: with("Ce-Id", "%41"), want: `{"id":"A"}`},
		"binary, not encoded":            {header: with("Ce-Subject", "50% off"), want: `{"subject":"50% off"}`},
		"binary, in quotes":              {header: with("Ce-Subject", `"hello \"world\" %21"`), want: `{"subject":"hello \"world\" !"}`},
		"binary, a quote by itself":      {header: with("Ce-Subject", `"hello`), want: `{"subject":"\"hello"}`},
		"binary, encoded time":           {header: with("Ce-Time", "2026-01-31T12%3A00%3A00Z"), want: `{"time":"2026-01-31T12:00:00Z"}`},
		"binary, extensions are strings": {header: with("Ce-N", "41", "Ce-B", "true", "Ce-Empty", ""), want: `{"n":"41","b":"true","empty":""}`},
		"binary, data is not read":       {header: with("Content-Type", "application/json"), body: `{"a": `, want: `{"data_base64":"eyJhIjog"}`},
		"hops are ours":                  {header: with("Ce-Evokehops", "63", "Ce-Evoketrail", "a b"), want: `{}`},
		"structured, hops are ours":      {header: structured, body: jsonEvent(`"evokehops":63`), want: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deployShop()
			if got := b.do("POST", b.gateway+"/topics/orders", tt.body, tt.header...); got.status != 202 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			stored := b.stored("default", "orders")
			if len(stored) != 1 {
				t.Fatalf("%d events are stored", len(stored))
			}
			checkMembers(t, &stored[0], tt.want)
		})
	}
}

func checkMembers(t *testing.T, e *event.Event, want string) {
	t.Helper()
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got, members map[string]json.RawMessage
	if json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(want), &members) != nil {
		t.Fatalf("%s or %s is no object", text, want)
	}
	for name, value := range members {
		if string(got[name]) != string(value) {
			t.Errorf("%s is %s, want %s, in %s", name, got[name], value, text)
		}
	}
	for _, name := range []string{event.HopsExtension, event.TrailExtension} {
		if got[name] != nil {
			t.Errorf("%s was believed: %s", name, text)
		}
	}
	if len(members) == 0 && (e.Subject != "" || e.Data != nil || !e.Time.IsZero() || e.Extensions != nil) {
		t.Errorf("the least event has more: %s", text)
	}
}
