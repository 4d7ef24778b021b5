package rules

import (
	"errors"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// digest is one of a module.
var digest = "sha256:" + strings.Repeat("0", 64)

func function(on ...api.TriggerSpec) api.FunctionSpec {
	return api.FunctionSpec{Module: digest, Triggers: on}
}

func onTopic(name string) api.TriggerSpec {
	return api.TriggerSpec{Topic: &api.TopicTrigger{Name: name}}
}

// at is a binding to a route.
func at(path string, methods ...string) api.TriggerSpec {
	return api.TriggerSpec{HTTP: &api.HTTPTrigger{Path: path, Methods: methods}}
}

func onHTTP() api.TriggerSpec { return api.TriggerSpec{HTTP: &api.HTTPTrigger{}} }

func onCron(t api.CronTrigger) api.TriggerSpec { return api.TriggerSpec{Cron: &t} }

func onWebhook(w api.WebhookTrigger) api.TriggerSpec { return api.TriggerSpec{Webhook: &w} }

func app(functions map[string]api.FunctionSpec) api.App { return api.App{Functions: functions} }

// kindsOf says that all modules are native.
func kindsOf(a api.App) map[string]string {
	kinds := map[string]string{}
	for name := range a.Functions {
		kinds[name] = "native"
	}
	return kinds
}

func checkFault(t *testing.T, err error, want string) {
	t.Helper()
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
		return
	}
	if field, _, _ := strings.Cut(want, ": "); invalid.Faults[0].Field != field {
		t.Errorf("first fault is at %s, want %s", invalid.Faults[0].Field, field)
	}
}
