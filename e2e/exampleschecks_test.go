package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Deliveries come twice and in the wrong order; each customer's access changes as if they had not.
func (e *example) checkWebhook(t *testing.T) {
	now := time.Now().Unix()
	deliver := func(id, typ, customer string, created int64) {
		body := fmt.Sprintf(`{"id":"%s-%s","type":%q,"created":%d,"data":{"object":{"id":"in_1","customer":%q}}}`, customer, id, typ, created, customer)
		mac := hmac.New(sha256.New, []byte("whsec_local"))
		fmt.Fprintf(mac, "%d.%s", now, body)
		header := http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {fmt.Sprintf("t=%d,v1=%x", now, mac.Sum(nil))}}
		for range 2 {
			if r := send(t, "POST", e.rt.gateway+"/webhooks/stripe", header, []byte(body)); r.status != http.StatusAccepted {
				t.Fatalf("%s: %d %s", body, r.status, r.body)
			}
		}
	}
	customers := []string{e.key("a"), e.key("b"), e.key("c")}
	told := 0
	for _, d := range []struct {
		id, typ string
		created int64
	}{
		{"1", "invoice.paid", 1000},
		{"3", "invoice.payment_failed", 3000},
		{"2", "invoice.paid", 2000}, // late
		{"x", "charge.updated", 3500},
		{"4", "invoice.paid", 4000},
		{"5", "customer.subscription.deleted", 5000},
	} {
		for _, c := range customers {
			deliver(d.id, d.typ, c, d.created)
		}
		if d.id != "x" { // nothing is promised of the order of deliveries that are under way at the same time
			told += len(customers)
			e.topic(t, "billing.events", told)
		}
	}
	got := e.topic(t, "access.changed", 4*len(customers))
	for _, c := range customers {
		is(t, c, got[c], `{"was":"none","status":"active"}`, `{"was":"active","status":"past-due"}`, `{"was":"past-due","status":"active"}`, `{"was":"active","status":"ended"}`)
	}
}

// A provider that fails is asked again under the same key, one that refuses is not, and what was given up on is paid for after a redrive.
func (e *example) checkOrders(t *testing.T) {
	down := true
	e.host.answer(func(n int, body map[string]any) (int, string) {
		switch order := strings.TrimPrefix(body["reference"].(string), e.round+"-"); {
		case order == "flaky" && n < 3, order == "down" && down:
			return 503, ""
		case order == "rich":
			return 402, `{"reason":"no cover"}`
		case order == "odd":
			return 400, "{}"
		}
		return 201, `{"id":"ch"}`
	})
	for _, order := range []string{"good", "flaky", "down", "rich", "odd"} {
		for i, status := range []int{202, 200} {
			if r := e.send(t, "PUT", "/orders/"+e.key(order), nil, []byte(`{"customer":"ada","items":[{"sku":"tea","quantity":2,"cents":450}]}`)); r.status != status {
				t.Fatalf("order %s, time %d: %d %s", order, i+1, r.status, r.body)
			}
		}
	}
	e.topic(t, "orders.paid", 2)
	letters := e.deadLetters(t, "charge:orders.placed", 2)
	for order, attempts := range map[string]int{"down": 3, "odd": 1} {
		if got := letters[e.key(order)]; len(got.Attempts) != attempts {
			t.Errorf("the dead letter of %s: %d attempts, want %d", order, len(got.Attempts), attempts)
		}
	}
	e.host.change(func() { down = false })
	e.must(t, "dlq", "redrive", letters[e.key("down")].ID)
	paid := e.topic(t, "orders.paid", 3)
	for _, order := range []string{"good", "flaky", "down"} {
		is(t, order, paid[e.key(order)], `{"charge":"ch"}`)
	}
	is(t, "rich", e.topic(t, "orders.declined", 1)[e.key("rich")], `{"reason":"no cover"}`)
	for order, times := range map[string]int{"good": 1, "flaky": 3, "down": 4, "rich": 1, "odd": 1} {
		asked := e.host.asked("reference", e.key(order))
		if keys := slices.Compact(slices.Clone(asked)); len(asked) != times || len(keys) != 1 || keys[0] == "" {
			t.Errorf("%s: the provider was asked with %q, want the same key %d times", order, asked, times)
		}
	}
}

// Each sensor's minutes and alerts are those of its readings in their order, once, although every batch comes twice.
func (e *example) checkReadings(t *testing.T) {
	sensors, start := []string{e.key("s1"), e.key("s2"), e.key("s3")}, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var batch []event
	want := map[string][]string{}
	for i := range 30 { // six readings in each of five minutes, of which every other one is hot
		at := start.Add(time.Duration(i) * 10 * time.Second)
		for n, sensor := range sensors {
			celsius := 60 + 30*(i/6%2) + n
			batch = append(batch, event{"specversion": "1.0", "type": "com.example.reading", "source": "/e2e", "id": fmt.Sprint(sensor, i), "subject": sensor, "time": at, "data": map[string]int{"celsius": celsius}})
			if i%6 == 5 && i < 29 {
				want[sensor] = append(want[sensor], fmt.Sprintf(`{"start":%q,"count":6,"sum":%d,"min":%d,"max":%d}`, at.Truncate(time.Minute).Format(time.RFC3339), 6*celsius, celsius, celsius))
			}
		}
	}
	e.publish(t, "readings", batch...)
	e.publish(t, "readings", batch...)
	minutes, alerts := e.topic(t, "readings.minutes", 4*len(sensors)), e.topic(t, "alerts", 4*len(sensors))
	for _, sensor := range sensors {
		for i := range minutes[sensor] { // both languages write the same times, one of them with milliseconds
			minutes[sensor][i].Data = []byte(strings.Replace(string(minutes[sensor][i].Data), ":00.000Z", ":00Z", 1))
		}
		is(t, "minutes of "+sensor, minutes[sensor], want[sensor]...)
		var kinds []string
		for _, a := range alerts[sensor] {
			kinds = append(kinds, strings.TrimPrefix(a.Type, "com.example.alert."))
		}
		if want := []string{"raised", "cleared", "raised", "cleared"}; !slices.Equal(kinds, want) {
			t.Errorf("alerts of %s: %q, want %q", sensor, kinds, want)
		}
	}
}

// Every sale is in exactly one report, and a report that failed is sent again under the same key.
func (e *example) checkReports(t *testing.T) {
	const sales = 20
	e.host.answer(func(n int, _ map[string]any) (int, string) {
		if n == 1 {
			return 503, ""
		}
		return 202, ""
	})
	shop := e.key("shop")
	var batch []event
	for i := range sales {
		batch = append(batch, event{"specversion": "1.0", "type": "com.example.sale", "source": "/e2e", "id": fmt.Sprint(shop, i), "subject": shop, "data": map[string]int{"cents": 100}})
	}
	due := func(n int) {
		e.must(t, "emit", "shop.reports", "--type", "com.example.report.due", "--id", fmt.Sprint(shop, "due", n), "--subject", shop, "-d", `{"until":"`+strconv.Itoa(n)+`"}`)
	}
	e.publish(t, "shop.sales", batch[:5]...)
	due(1)
	e.publish(t, "shop.sales", batch[5:]...)
	due(2)
	eventually(t, "second report", func() error {
		if got := e.host.sums("until"); got["2"] == "" {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
	if got := e.host.sums("until"); got["1"] != "5 sales, 500 cents" || got["2"] != "15 sales, 1500 cents" {
		t.Errorf("the reports say %v", got)
	}
	for _, until := range []string{"1", "2"} {
		if asked := e.host.asked("until", until); len(asked) != 2 || asked[0] != asked[1] || asked[0] == "" {
			t.Errorf("report %s came with the keys %q, want the same twice", until, asked)
		}
	}
}

// Illegal commands change nothing and are told.
func (e *example) checkPayments(t *testing.T) {
	payments := []string{e.key("p1"), e.key("p2")}
	for _, p := range payments {
		for i, c := range []string{"capture {}", `create {"cents":500,"currency":"EUR"}`, "refund {}", "authorize {}", `capture {"cents":400}`, "cancel {}", `refund {"cents":100}`, `refund {"cents":301}`, "refund {}"} {
			kind, data, _ := strings.Cut(c, " ")
			e.must(t, "emit", "payments.commands", "--type", "com.example.payment."+kind, "--id", fmt.Sprint(p, i), "--subject", p, "-d", data)
		}
	}
	const refusals = 4
	refused, events := e.topic(t, "payments.refused", refusals*len(payments)), e.topic(t, "payments.events", 5*len(payments))
	for _, p := range payments {
		is(t, p, events[p], `{"status":"created","version":1}`, `{"status":"authorized","version":2}`, `{"status":"captured","cents":400,"version":3}`,
			`{"status":"captured","refunded":100,"version":4}`, `{"status":"refunded","refunded":400,"version":5}`)
		if len(refused[p]) != refusals {
			t.Errorf("of %s %d commands were refused, want %d", p, len(refused[p]), refusals)
		}
	}
}

// Requests that change the same list at once do not lose one another's changes, and only those who may come in.
func (e *example) checkTasks(t *testing.T) {
	key := strings.TrimSpace(e.must(t, "key", "create", e.key("web")))
	header := http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	list := "/lists/" + e.key("list") + "/tasks"
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if r := e.send(t, "POST", list, header, []byte(fmt.Sprintf(`{"title":"task %d"}`, i))); r.status != 201 {
				t.Errorf("task %d: %d %s", i, r.status, r.body)
			}
		})
	}
	group.Wait()
	var got struct {
		Tasks []struct{ ID, Title, By string }
	}
	if err := json.Unmarshal([]byte(e.send(t, "GET", list, header, nil).body), &got); err != nil {
		t.Fatal(err)
	}
	titles, ids := map[string]bool{}, map[string]bool{}
	for _, task := range got.Tasks {
		titles[task.Title], ids[task.ID] = true, true
		if task.By != e.key("web") {
			t.Errorf("a task is of %q", task.By)
		}
	}
	if len(titles) != 20 || len(ids) != 20 {
		t.Errorf("the list has %+v", got.Tasks)
	}
	for _, tc := range []struct {
		method, path string
		header       http.Header
		status       int
	}{
		{"GET", list, nil, 401}, {"GET", list + "/99", header, 404}, {"PUT", list, header, 405}, {"PATCH", list + "/1", header, 400}, {"DELETE", list + "/1", header, 204}, {"DELETE", list + "/1", header, 404},
		{"OPTIONS", list, http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 403},
	} {
		if r := e.send(t, tc.method, tc.path, tc.header, nil); r.status != tc.status {
			t.Errorf("%s %s: %d %s, want %d", tc.method, tc.path, r.status, r.body, tc.status)
		}
	}
}

// send is for routes of the default namespace.
func (e *example) send(t testing.TB, method, path string, header http.Header, body []byte) response {
	t.Helper()
	return send(t, method, e.rt.gateway+path, header, body)
}

// publish is app.publish; the topics are those of the default namespace.
func (e *example) publish(t testing.TB, topic string, events ...event) {
	t.Helper()
	batch, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	if r := e.send(t, "POST", "/topics/"+topic, http.Header{"Content-Type": {api.EventBatchJSON}}, batch); r.status != http.StatusAccepted {
		t.Fatalf("publish to %s: %d %s", topic, r.status, r.body)
	}
}

// deadLetters are those of this round, by key, once there are n.
func (e *example) deadLetters(t *testing.T, trigger string, n int) (out map[string]api.DeadLetter) {
	t.Helper()
	eventually(t, "dead letters of "+trigger, func() error {
		var all []api.DeadLetter
		if err := json.Unmarshal([]byte(e.must(t, "dlq", "ls", "--trigger", trigger, "-o", "json")), &all); err != nil {
			return errors.Join(errGone, err)
		}
		out = map[string]api.DeadLetter{}
		for _, l := range all {
			if strings.HasPrefix(l.Key, e.round+"-") {
				out[l.Key] = l
			}
		}
		if len(out) < n {
			return fmt.Errorf("%d of %d", len(out), n)
		}
		return nil
	})
	return out
}

// otherHost is a server that functions send requests to. Requests are told apart by what their bodies say; each kind has its own count.
type otherHost struct {
	url string

	mu   sync.Mutex
	how  func(n int, body map[string]any) (status int, reply string)
	seen []seen
}

// seen is one request.
type seen struct {
	body   map[string]any
	key    string // its Idempotency-Key
	status int
}

func newOtherHost(t *testing.T) *otherHost {
	t.Helper()
	h := &otherHost{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// answer says how the host answers from now on, the n-th request with a body; what came before is forgotten.
func (h *otherHost) answer(how func(n int, body map[string]any) (status int, reply string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.how, h.seen = how, nil
}

// change changes what the function given to answer looks at.
func (h *otherHost) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *otherHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var body map[string]any
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 1
	for _, s := range h.seen {
		if fmt.Sprint(s.body) == fmt.Sprint(body) {
			n++
		}
	}
	status, reply := h.how(n, body)
	h.seen = append(h.seen, seen{body, r.Header.Get("Idempotency-Key"), status})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, reply) // the client is gone, or the test fails
}

// asked are the keys of the requests whose body has a member with this value, in their order.
func (h *otherHost) asked(member, value string) (keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seen {
		if s.body[member] == value {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// sums are what the reports that were taken say, by a member of theirs.
func (h *otherHost) sums(member string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]string{}
	for _, s := range h.seen {
		if s.status < 300 {
			out[fmt.Sprint(s.body[member])] += fmt.Sprintf("%v sales, %v cents", s.body["sales"], s.body["cents"])
		}
	}
	return out
}
