package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestEveryBrokenRuleIsNamed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	on := func(s ...api.TriggerSpec) func(*api.FunctionSpec) {
		return func(f *api.FunctionSpec) { f.Triggers = s }
	}
	topic := func(trigger api.TopicTrigger) func(*api.FunctionSpec) {
		return on(api.TriggerSpec{Topic: &trigger})
	}
	retry := func(r api.Retry) func(*api.FunctionSpec) { return func(f *api.FunctionSpec) { f.Retry = &r } }
	env := func(name, value string) func(*api.FunctionSpec) {
		return func(f *api.FunctionSpec) { f.Env = map[string]string{name: value} }
	}
	inBatches := func(size int, window time.Duration) func(*api.FunctionSpec) {
		return topic(api.TopicTrigger{Name: "a", Batch: &api.BatchSpec{Size: size, Window: api.Duration(window)}})
	}
	for _, c := range []struct {
		spoil func(*api.FunctionSpec)
		want  string
	}{
		{func(f *api.FunctionSpec) { f.Module = "sha256:AB" }, `functions.f.module: "sha256:AB" is no module digest, "sha256:" and 64 hex digits in lower case`},
		{func(f *api.FunctionSpec) { f.Timeout = api.Duration(time.Microsecond) }, "functions.f.timeout: 1µs is not between 1ms and 15m"},
		{func(f *api.FunctionSpec) { f.Timeout = api.Duration(16 * time.Minute) }, "functions.f.timeout: 16m0s is not between 1ms and 15m"},
		{func(f *api.FunctionSpec) { f.Timeout = -1 }, "functions.f.timeout: -1ns is not between 1ms and 15m"},
		{func(f *api.FunctionSpec) { f.DeadLetter = &api.DeadLetterSpec{Keep: 1} }, "functions.f.deadLetter.keep: 1ns is not between 1s and 100 years"},
		{func(f *api.FunctionSpec) { f.Memory = 1000 }, "functions.f.memory: 1000 bytes is not between 1Mi (1048576) and 4Gi (4294967296)"},
		{func(f *api.FunctionSpec) { f.Memory = 4<<30 + 1 }, "functions.f.memory: 4294967297 bytes is not between 1Mi (1048576) and 4Gi (4294967296)"},
		{func(f *api.FunctionSpec) { f.Concurrency = -1 }, "functions.f.concurrency: -1 is below 0; 0 means no limit"},
		{func(f *api.FunctionSpec) { f.Scale.Min = 1001 }, "functions.f.scale.min: 1001 is not between 0 and 1000"},
		{func(f *api.FunctionSpec) { f.Scale.Max = -1 }, "functions.f.scale.max: -1 is below 0; 0 means no limit"},
		{func(f *api.FunctionSpec) { f.Scale = api.Scale{Min: 3, Max: 2} }, "functions.f.scale.min: 3 is above max, which is 2"},
		{func(f *api.FunctionSpec) { f.KeyConcurrency = &api.KeyLimit{Key: "subject"} }, "functions.f.keyConcurrency.limit: 0 is not between 1 and 100000"},
		{func(f *api.FunctionSpec) { f.KeyConcurrency = &api.KeyLimit{Limit: 1} }, "functions.f.keyConcurrency.key: the expression is empty"},
		{func(f *api.FunctionSpec) { f.KeyConcurrency = &api.KeyLimit{Limit: 1, Key: "subject ="} }, "functions.f.keyConcurrency.key: at character 10: "},
		{func(f *api.FunctionSpec) { f.Fair = "type = 'x'" }, "functions.f.fair: at character 1: this is true or false; a key is a text or a number, such as subject or data.customer"},
		{func(f *api.FunctionSpec) { f.Adaptive = &api.Adaptive{Latency: -1} }, "functions.f.adaptive.latency: -1ns is below zero"},
		{func(f *api.FunctionSpec) { f.Throttle = &api.Rate{Period: api.Duration(time.Second)} }, "functions.f.throttle.limit: 0 is not between 1 and 100000"},
		{func(f *api.FunctionSpec) { f.Throttle = &api.Rate{Limit: 1} }, "functions.f.throttle.period: 0s is not between 1ms and 30d"},
		{func(f *api.FunctionSpec) { f.Throttle = &api.Rate{Limit: 5000, Period: api.Duration(time.Millisecond)} }, "functions.f.throttle.limit: 5000 in 1ms is more than one in a microsecond"},
		{func(f *api.FunctionSpec) {
			f.RateLimit = &api.Rate{Limit: 1, Period: api.Duration(time.Second), Burst: 2}
		}, "functions.f.rateLimit.burst: 2 is not between 1 and limit, which is 1"},
		{func(f *api.FunctionSpec) {
			f.RateLimit = &api.Rate{Limit: 1, Period: api.Duration(time.Second), Key: "data."}
		}, "functions.f.rateLimit.key: at character 1: a path into the data is data.NAME"},
		{func(f *api.FunctionSpec) {
			f.Fair = "subject"
			f.Triggers = []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "a", Batch: &api.BatchSpec{Size: 2}}}}
		}, "functions.f.on: topic a has batches, whose events begin together"},
		{func(f *api.FunctionSpec) { f.Weight = 101 }, "functions.f.weight: 101 is not between 1 and 100"},
		{env("1X", ""), `functions.f.env["1X"]: the name of a variable has letters, digits and "_" and does not begin with a digit`},
		{env("X", "a\x00"), `functions.f.env["X"]: the value has a zero byte`},
		{func(f *api.FunctionSpec) { f.Allow.Emit = []string{"ok", "a..b"} }, `functions.f.allow.emit[1]: topic pattern "a..b" has an empty part; write parts separated by single dots, as in orders.created`},
		{func(f *api.FunctionSpec) { f.Allow.HTTP = []string{"ok.example", "a b"} }, `functions.f.allow.http[1]: "a b": the host "a b" has the character ' '`},
		{func(f *api.FunctionSpec) { f.Allow.HTTP = slices.Repeat([]string{"a.b"}, 257) }, "functions.f.allow.http: there are 257 targets, the limit is 256; a pattern such as *.example.com stands for many"},
		{func(f *api.FunctionSpec) { f.Allow.Invoke = []string{"price", "Price"} }, `functions.f.allow.invoke[1]: "Price" is no name: use lower-case letters, digits and inner "-", as in order-mailer`},
		{func(f *api.FunctionSpec) { f.Allow.Invoke = []string{"f"} }, `functions.f.allow.invoke[0]: a function cannot be invoked while it waits for what it invoked, so not by itself; emit an event that it gets instead`},
		{func(f *api.FunctionSpec) { f.Allow.Invoke = slices.Repeat([]string{"price"}, 65) }, `functions.f.allow.invoke: there are 65 functions, the limit is 64`},
		{func(f *api.FunctionSpec) { f.Allow.Emit = []string{"_inbox.f"} }, `functions.f.allow.emit[0]: "_inbox.f" has a part that begins with "_"; such topics belong to the runtime`},
		{retry(api.Retry{Attempts: 101}), "functions.f.retry.attempts: 101 is not between 1 and 100"},
		{retry(api.Retry{Attempts: -1}), "functions.f.retry.attempts: -1 is not between 1 and 100"},
		{retry(api.Retry{Factor: 0.5}), "functions.f.retry.factor: 0.5 is not between 1 and 10"},
		{retry(api.Retry{Initial: -1}), "functions.f.retry.initial: -1ns is below zero"},
		{retry(api.Retry{MaxAge: -1}), "functions.f.retry.maxAge: -1ns is below zero"},
		{retry(api.Retry{Initial: api.Duration(time.Minute), Max: api.Duration(time.Second)}), "functions.f.retry.initial: 1m0s is above max, which is 1s"},
		{retry(api.Retry{Initial: api.Duration(time.Hour)}), "functions.f.retry.initial: 1h0m0s is above max, which is 5m0s"},
		{retry(api.Retry{Jitter: "some"}), `functions.f.retry.jitter: "some" is neither full nor none`},
		{on(api.TriggerSpec{}), "functions.f.on[0]: has no kind; set http, topic, cron or webhook"},
		{on(api.TriggerSpec{HTTP: &api.HTTPTrigger{}, Topic: &api.TopicTrigger{Name: "a"}}), "functions.f.on[0]: has both http and topic; write a trigger for each"},
		{on(make([]api.TriggerSpec, 101)...), "functions.f.on: there are 101 triggers, the limit is 100; one with * or > can stand for many"},
		{topic(api.TopicTrigger{}), "functions.f.on[0].topic.name: topic pattern is empty"},
		{topic(api.TopicTrigger{Name: "a.>.b"}), `functions.f.on[0].topic.name: topic pattern "a.>.b" has ">" before its end`},
		{topic(api.TopicTrigger{Name: "_inbox.g"}), `functions.f.on[0].topic.name: "_inbox.g" has a part that begins with "_"`},
		{topic(api.TopicTrigger{Name: "a", Filter: "type = "}), "functions.f.on[0].topic.filter: at character 8: found the end, expected an attribute"},
		{topic(api.TopicTrigger{Name: "a", Filter: `[{"exact": {"type": "t"}}, {"any": [{"exat": {}}]}]`}), `functions.f.on[0].topic.filter: at character 38, [1].any[0]: there is no dialect "exat"; known are exact, prefix, suffix, all, any, not, sql (or cesql) and data`},
		{topic(api.TopicTrigger{Name: "a", Filter: `{"data": {"total": [{"numeric": [">", "7"]}]}}`}), `functions.f.on[0].topic.filter: at character 39, data.total[0].numeric: behind an operator stands a number, not "7"`},
		{topic(api.TopicTrigger{Name: "a", Filter: strings.Repeat(`{"not":`, 10_000)}), "functions.f.on[0].topic.filter: at character 225: nested more than 32 deep"},
		{topic(api.TopicTrigger{Name: "a", Filter: strings.Repeat("(", 10_000)}), "functions.f.on[0].topic.filter: at character 33: nested more than 32 deep"},
		{topic(api.TopicTrigger{Name: "a", Order: "strict"}), `functions.f.on[0].topic.order: "strict" is neither none nor key`},
		{topic(api.TopicTrigger{Name: "a", Order: "key", OnFailure: "stop"}), `functions.f.on[0].topic.onFailure: "stop" is neither skip nor park`},
		{topic(api.TopicTrigger{Name: "a", Order: "none", OnFailure: "park"}), "functions.f.on[0].topic.onFailure: only keys that are kept in order can park; add order: key, or leave it at skip"},
		{topic(api.TopicTrigger{Name: "a", Delivery: "twice"}), `functions.f.on[0].topic.delivery: "twice" is neither atLeastOnce nor atMostOnce`},
		{topic(api.TopicTrigger{Name: "a", Delivery: "atMostOnce", Order: "key"}), "functions.f.on[0].topic.delivery: order: key waits until an event is done, and delivery: atMostOnce does not; leave one of them out"},
		{topic(api.TopicTrigger{Name: "a", Priority: "data."}), "functions.f.on[0].topic.priority: at character 1: a path into the data is data.NAME"},
		{topic(api.TopicTrigger{Name: "a", Priority: "urgency", Order: "key"}), "functions.f.on[0].topic.priority: order: key and batch take events in the order in which they came"},
		{topic(api.TopicTrigger{Name: "a", Priority: "urgency", Batch: &api.BatchSpec{Size: 2}}), "functions.f.on[0].topic.priority: order: key and batch take events in the order in which they came"},
		{inBatches(1, 0), "functions.f.on[0].topic.batch.size: 1 is not between 2 and 1000; leave batch out for one event at a time"},
		{inBatches(1001, 0), "functions.f.on[0].topic.batch.size: 1001 is not between 2 and 1000; leave batch out for one event at a time"},
		{inBatches(2, 6*time.Minute), "functions.f.on[0].topic.batch.window: 6m0s is not between 0 and 5m0s"},
		{func(f *api.FunctionSpec) { inBatches(2, 0)(f); f.Allow.State = true }, "functions.f.on[0].topic.batch: state belongs to one key, and the events of a batch have many; leave batch out, or keep the state in a function of its own"},
		{func(f *api.FunctionSpec) { f.DeadLetter = &api.DeadLetterSpec{Topic: "a.*"} }, `functions.f.deadLetter.topic: topic "a.*"`},
		{func(f *api.FunctionSpec) {
			f.DeadLetter, f.Triggers = &api.DeadLetterSpec{Topic: "a.dead"}, []api.TriggerSpec{onTopic("a.*")}
		}, `functions.f.deadLetter.topic: the function has a trigger on "a.*", so its dead letters would come back to it; name a topic that it does not listen to`},
		{env("BIG", strings.Repeat("x", maxSpec)), "functions.f: the settings have "},
		{retry(api.Retry{Factor: math.NaN()}), "functions.f.retry.factor: NaN is not between 1 and 10"},
	} {
		f := function()
		c.spoil(&f)
		checkFault(t, Deploy("default", "shop", app(map[string]api.FunctionSpec{"f": f}), map[string]string{"f": "native"}), c.want)
	}

	command := function()
	inBatches(2, 0)(&command)
	checkFault(t, Deploy("default", "shop", app(map[string]api.FunctionSpec{"f": command}), map[string]string{"f": "wasi-command"}),
		"functions.f.on[0].topic.batch: a WASI command reads one event from stdin; leave batch out, or build the function against evoke_v1 with an SDK")

	one := app(map[string]api.FunctionSpec{"f": function()})
	kinds := map[string]string{"f": "native"}
	checkFault(t, Deploy("", "shop", one, kinds), "namespace: the name is empty")
	checkFault(t, Deploy("default", "Shop!", one, kinds), `app: "Shop!" is no name: use lower-case letters, digits and inner "-", as in order-mailer`)
	checkFault(t, Deploy("default", "shop", api.App{Functions: one.Functions, Formerly: "a b"}, kinds), `formerly: "a b" is no name`)
	checkFault(t, Deploy(long, "shop", one, kinds), "namespace: the name has 64 characters, the limit is 63")
	checkFault(t, Deploy("default", "shop", one, nil), "functions.f.module: the kind of the module is not known; upload the module before the deploy")
	checkFault(t, Deploy("default", "shop", api.App{}, nil), "functions: the app has no function and no topic")
	checkFault(t, Deploy("default", "shop", api.App{Topics: map[string]api.TopicSpec{"a.*": {}}}, nil), `topics["a.*"]: topic "a.*" has "*" in part 2`)
	for _, name := range []string{"-f", "f-", "F", "a.b", "f/g", "ü"} {
		a := app(map[string]api.FunctionSpec{name: function()})
		checkFault(t, Deploy("default", "shop", a, kindsOf(a)), fmt.Sprintf(`functions[%q]: %q is no name`, name, name))
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	bad := api.FunctionSpec{Module: "x", Timeout: -1, Triggers: []api.TriggerSpec{{}}}
	a := app(map[string]api.FunctionSpec{"b": bad, "a": bad})
	err := Deploy("Default", "shop", a, kindsOf(a))
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, f := range invalid.Faults {
		fields = append(fields, f.Field)
	}
	want := "namespace functions.a.module functions.a.timeout functions.a.on[0] functions.b.module functions.b.timeout functions.b.on[0]"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatIsAllowedAtTheEdges(t *testing.T) {
	t.Parallel()
	f := api.FunctionSpec{
		Module: digest, Timeout: api.Duration(maxTimeout), Memory: maxMemory, Env: map[string]string{"_A1": "x\ny"},
		Allow: api.Allow{Emit: []string{">", "a.*"}, HTTP: []string{"*", "http://*:*", "a.b:1"}, Invoke: []string{"price", "not-there-yet"}},
		Retry: &api.Retry{Attempts: 100, Initial: api.Duration(time.Second), Factor: 10, Max: api.Duration(time.Second), Jitter: "none"},
		Triggers: []api.TriggerSpec{
			{HTTP: &api.HTTPTrigger{Key: "header.X-Order-Id"}}, {Topic: &api.TopicTrigger{Name: "a.*.>", Filter: "type = 'x'", Order: "key"}}, onTopic("a"), onTopic("a"),
		},
	}
	a := app(map[string]api.FunctionSpec{"f": f, strings.Repeat("a", 63): {Module: digest, Timeout: api.Duration(minTimeout), Memory: minMemory}, "0-9": f})
	if err := Deploy("default", "shop", a, kindsOf(a)); err != nil {
		t.Error(err)
	}
}
