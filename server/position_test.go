package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// publishOrders stores events o<from> to o<to-1>.
func (b *bundle) publishOrders(from, to int) {
	b.t.Helper()
	for i := from; i < to; i++ {
		e := event.Event{ID: fmt.Sprint("o", i), Source: "/a", Type: "t", Subject: fmt.Sprint("k", i)}
		if _, err := b.table.Publish(b.t.Context(), "default", "orders", []event.Event{e}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// settleAll settles what a trigger hands out now.
func (b *bundle) settleAll(trigger string) (invocations []string) {
	b.t.Helper()
	tr, ok := b.registry.Snapshot().Trigger("default", trigger)
	if !ok {
		b.t.Fatalf("no trigger %s", trigger)
	}
	list, err := b.table.Take(tr.ID, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range list {
		d := &list[i]
		if _, err := b.table.Settle(context.Background(), d, partition.Attempt{Number: d.Attempt, Start: clock}, partition.Next{}, partition.Effects{}); err != nil {
			b.t.Fatal(err)
		}
		invocations = append(invocations, d.Invocation())
	}
	return invocations
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	c, ctx := b.client(), t.Context()
	got, err := c.PauseTrigger(ctx, "default", "charge:orders")
	if err != nil || len(got.Triggers) != 1 || !got.Triggers[0].Changed || got.Triggers[0].PausedSince.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	b.publishOrders(0, 3)
	if n := b.settleAll("charge:orders"); len(n) != 0 {
		t.Errorf("paused, it hands out %v", n)
	}
	tr, err := c.Trigger(ctx, "default", "charge:orders")
	if err != nil || !tr.PausedSince.Equal(got.Triggers[0].PausedSince) || tr.Stats.Pending != 3 {
		t.Errorf("%+v, %v", tr, err)
	}
	if text := b.do("GET", b.admin+"/metrics", "").body; !strings.Contains(text, "evoke_paused_triggers 1\n") {
		t.Error("the metric does not count it")
	}
	got, err = c.PauseFunction(ctx, "default", "charge")
	if err != nil || len(got.Triggers) != 2 || got.Triggers[0].Changed || !got.Triggers[1].Changed || got.Triggers[0].Pending != 3 {
		t.Errorf("pause of the function: %+v, %v", got, err)
	}
	if got, err = c.ResumeFunction(ctx, "default", "charge"); err != nil || len(got.Triggers) != 2 || !got.Triggers[0].PausedSince.IsZero() {
		t.Errorf("resume: %+v, %v", got, err)
	}
	if got, err = c.ResumeTrigger(ctx, "default", "charge:orders"); err != nil || got.Triggers[0].Changed {
		t.Errorf("resume again: %+v, %v", got, err)
	}
	if n := b.settleAll("charge:orders"); len(n) != 3 {
		t.Errorf("resumed, it hands out %v", n)
	}
	for path, want := range map[string]string{
		"triggers/hello:http/pause":  `trigger "hello:http" is of kind http: its events do not wait in a topic`,
		"triggers/hello:http/replay": `is of kind http`,
		"triggers/nobody:x/resume":   `no trigger "nobody:x" in namespace "default"`,
		"functions/nobody/pause":     `no function "nobody" in namespace "default"`,
	} {
		if p := b.do("POST", b.admin+"/api/v1/ns/default/"+path, "{}").problem(t); !strings.Contains(p.Detail, want) || p.Next == "" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	c, ctx := b.client(), t.Context()
	b.publishOrders(0, 10)
	first := b.settleAll("charge:orders")
	tail := func() (events []api.TopicEvent) {
		for e, err := range c.TopicEvents(ctx, "default", "orders", api.TailOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		return events
	}
	events := tail()
	seventh, last := events[6].Position, events[9].Position
	for _, tc := range []struct {
		from, to string
		want     int
	}{
		{"earliest", "", 10}, {seventh, "", 3}, {"earliest", seventh, 7}, {last, "", 0}, {seventh, last, 3}, {last, seventh, 0},
		{time.Now().Add(time.Hour).Format(time.RFC3339), "", 0}, {"2020-01-01T00:00:00Z", "", 10}, {"earliest", "2020-01-01T00:00:00Z", 0},
	} {
		got, err := c.Replay(ctx, "default", "charge:orders", api.ReplayRequest{From: tc.from, To: tc.to, DryRun: true})
		if err != nil || got.Events != tc.want || !got.DryRun || !got.Finished {
			t.Errorf("dry run from %s to %s: %+v, %v, want %d events", tc.from, tc.to, got, err, tc.want)
		}
	}
	if n := b.settleAll("charge:orders"); len(n) != 0 {
		t.Fatalf("a dry run handed out %v", n)
	}
	got, err := c.Replay(ctx, "default", "charge:orders", api.ReplayRequest{From: seventh})
	if err != nil || got.Events != 3 || !got.Finished || got.From != seventh {
		t.Fatalf("%+v, %v", got, err)
	}
	again := b.settleAll("charge:orders")
	if len(again) != 3 {
		t.Errorf("replayed %v", again)
	}
	for _, id := range again {
		if !strings.HasSuffix(id, "-g1") || strings.Contains(strings.Join(first, " ")+" ", id+" ") {
			t.Errorf("invocation %s is not a new one", id)
		}
	}
	b.publishOrders(10, 11) // pending
	if got, err := c.Replay(ctx, "default", "charge:orders", api.ReplayRequest{From: "-1000000h", DryRun: true}); err != nil || got.Events != 10 || got.Pending != 1 || got.From >= "2020" {
		t.Errorf("dry run beside a pending event: %+v, %v", got, err)
	}
	if got, err := c.Replay(ctx, "default", "charge:orders", api.ReplayRequest{From: "earliest"}); err != nil || got.Events != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	if n := b.settleAll("charge:orders"); len(n) != 11 {
		t.Errorf("then there were %v", n)
	}
	tr, err := c.Trigger(ctx, "default", "charge:orders")
	if err != nil || tr.Replay == nil || *tr.Replay != (api.Replay{ID: 2, From: "earliest"}) {
		t.Errorf("%+v, %v", tr.Replay, err)
	}
}

func TestPositionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.publishOrders(0, 1)
	here := api.Token{Directory: b.table.Directory(), Namespace: "default", Topic: "orders", Offsets: []uint64{1, 1}}
	with := func(change func(*api.Token)) string {
		token := here
		change(&token)
		return token.String()
	}
	bad := map[string]string{
		with(func(t *api.Token) { t.Directory++ }):                "the token is of another data directory; its offsets mean nothing here",
		with(func(t *api.Token) { t.Topic = "internal" }):         `the token is of topic "internal" in namespace "default", the trigger is bound to "orders" in "default"`,
		with(func(t *api.Token) { t.Namespace = "acme" }):         `the token is of topic "orders" in namespace "acme"`,
		with(func(t *api.Token) { t.Offsets = []uint64{1} }):      "the token does not fit: it has 1 offsets, the data directory has 2 partitions",
		with(func(t *api.Token) { t.Offsets = []uint64{1, 9e9} }): "is behind the end of partition 1",
		here.String() + "x": "is cut or has a wrong character; copy it whole",
		"tomorrow":          `"tomorrow" is no position; it is latest, earliest, a time`,
	}
	for token, want := range bad {
		p := b.send("POST", b.admin+"/api/v1/ns/default/triggers/charge:orders/replay", api.ReplayRequest{From: token}).problem(t)
		if p.Status != 400 || !strings.Contains(p.Detail, "from: ") || !strings.Contains(p.Detail, want) || p.Next == "" {
			t.Errorf("replay from %s: %+v", want, p)
		}
	}
	for token, want := range bad {
		app := api.App{Functions: map[string]api.FunctionSpec{
			"new": {Module: b.module(), Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders", Start: token}}}},
		}}
		p := b.send("PUT", b.admin+"/api/v1/ns/default/apps/new", app).problem(t)
		if p.Status != 400 || !strings.Contains(p.Detail, "functions.new.on[0].topic.start: ") || !strings.Contains(p.Detail, want) {
			t.Errorf("deploy with start %s: %+v", want, p)
		}
	}
	for _, tc := range []struct{ body, want string }{
		{`{}`, `a replay needs a beginning in the past, not ""`},
		{`{"from":"latest"}`, `a replay needs a beginning in the past, not "latest"`},
		{`{"from":"earliest","to":"earliest"}`, `a replay up to "earliest" has no events`},
		{`{"from":"2026-01-01T00:00:01Z","to":"2026-01-01T00:00:01Z"}`, `begins at 2026-01-01T00:00:01Z and ends at 2026-01-01T00:00:01Z, which is not later`},
		{`{"since":"2h"}`, `unknown key "since"`},
	} {
		p := b.do("POST", b.admin+"/api/v1/ns/default/triggers/charge:orders/replay", tc.body).problem(t)
		if p.Status != 400 || !strings.Contains(p.Detail, tc.want) {
			t.Errorf("%s: %+v", tc.body, p)
		}
	}
}

func TestStartOfANewTrigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.publishOrders(0, 5)
	var third string
	for e, err := range b.client().TopicEvents(t.Context(), "default", "orders", api.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if third == "" && strings.Contains(string(e.Event), `"o2"`) {
			third = e.Position
		}
	}
	on := func(start string) api.FunctionSpec {
		return api.FunctionSpec{Module: b.module(), Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders", Start: start}}}}
	}
	app := api.App{Functions: map[string]api.FunctionSpec{"all": on("earliest"), "some": on(third), "none": on("latest"), "hour": on("-1h")}}
	deployed, err := b.client().Deploy(t.Context(), "default", "starts", app)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range deployed.Functions {
		want := map[string]int{"all": 5, "some": 2, "none": 0, "hour": 5}[f.Name]
		deadline := time.After(20 * time.Second)
		for {
			changed := b.table.Changed()
			tr, err := b.client().Trigger(t.Context(), "default", f.Name+":orders")
			if err != nil {
				t.Fatal(err)
			}
			if tr.Stats.CatchingUp == 0 {
				if tr.Stats.Pending != want {
					t.Errorf("%s has %d events, want %d", f.Name, tr.Stats.Pending, want)
				}
				break
			}
			select {
			case <-changed:
			case <-deadline:
				t.Fatalf("%s is still catching up", f.Name)
			}
		}
	}
	app.Functions["none"] = on("earliest")
	if deployed, err = b.client().Deploy(t.Context(), "default", "starts", app); err != nil {
		t.Fatal(err)
	}
	for _, f := range deployed.Functions {
		if got := strings.Join(f.Notes, ""); (f.Name == "none") != strings.Contains(got, "its start does nothing now") {
			t.Errorf("notes of %s: %s", f.Name, got)
		}
	}
}
