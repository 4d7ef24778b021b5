package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) describeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe [function | trigger | topic] NAME | revision FUNCTION rN",
		Short: "Show one function, trigger, topic or revision",
		Example: `  fnctl describe charge
  fnctl describe revision charge r7
  fnctl describe trigger charge:orders.created
  fnctl describe topic orders.created -o yaml`,
		Args:              argCount(1, 3, "KIND NAME, or the NAME of a function"),
		ValidArgsFunction: kinds,
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what, name := functionKind, args[0]
		if len(args) >= 2 {
			var err error
			if what, err = parseKind(args[0]); err != nil {
				return err
			}
			name = args[1]
		}
		switch what {
		case revisionKind:
			return c.describeRevision(cmd, args[1:])
		case routeKind:
			return usagef("fnctl ls routes -o wide, and then fnctl describe trigger FUNCTION:http", "a route is part of a trigger")
		}
		if len(args) == 3 {
			return usagef("", "%s takes KIND NAME, but there is also %q", cmd.CommandPath(), args[2])
		}
		return c.describe(cmd.Context(), what, name)
	}
	return cmd
}

func (c *cli) describe(ctx context.Context, what kind, name string) error {
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		switch what {
		case triggerKind:
			return describeOne(ctx, c, client.Trigger, name, c.describeTrigger)
		case topicKind:
			return describeOne(ctx, c, client.Topic, name, c.describeTopic)
		}
		return describeOne(ctx, c, client.Function, name, c.describeFunction)
	})
}

// describeOne is for a call that answers with one T; show writes it for people.
func describeOne[T any](ctx context.Context, c *cli, fetch func(ctx context.Context, ns, name string) (T, error), name string, show func(T) error) error {
	v, err := fetch(ctx, c.namespace, name)
	if err != nil {
		return err
	}
	if c.format != table {
		return c.object(v)
	}
	return show(v)
}

func (c *cli) describeFunction(f api.Function) error {
	err := c.fields(slices.Concat([]string{
		"Function", f.Name,
		"Namespace", f.Namespace,
		"App", f.App,
		"Kind", f.Kind,
		"Revision", strconv.Itoa(f.Revision),
		"Serves", strings.Join(servedBy(f.Triggers), ", "),
		"Traffic", trafficText(f.Traffic),
		"Now", loadText(f.Load),
	}, c.rolloutFields(f.Rollout), specFields(f.Spec), []string{
		"Created", timestamp(f.Created),
		"Updated", timestamp(f.Updated),
	})...)
	if err != nil || len(f.Triggers) == 0 {
		return err
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	return c.triggerList().table(c, f.Triggers)
}

// specFields are what a revision is made of.
func specFields(s api.FunctionSpec) []string {
	return []string{
		"Module", s.Module,
		"Timeout", durationText(s.Timeout),
		"Memory", sizeText(s.Memory),
		"Concurrency", concurrencyText(s.Concurrency, s.KeyConcurrency),
		"Throttle", rateText(s.Throttle),
		"Rate limit", rateText(s.RateLimit),
		"Fair to", s.Fair,
		"Adaptive", adaptiveText(s.Adaptive),
		"Scale", scaleText(s.Scale),
		"Weight", weightText(s.Weight),
		"Instances", instancesText(s.Reuse),
		"Warm-up", warmText(s.Warm),
		"Retry", retryText(s.Retry),
		"Dead letters", deadLetterText(s.DeadLetter),
		"Keeps dead letters", keepText(s.DeadLetter),
		"May emit to", strings.Join(s.Allow.Emit, ", "),
		"May keep state", yesNo(s.Allow.State),
		"May send requests to", strings.Join(s.Allow.HTTP, ", "),
		"May invoke", strings.Join(s.Allow.Invoke, ", "),
		"May read secrets", strings.Join(s.Secrets, ", "),
		"Env", strings.Join(slices.Sorted(maps.Keys(s.Env)), ", "),
	}
}

// warmText is empty when there is no warm-up.
func warmText(w *api.WarmUp) string {
	if w == nil {
		return ""
	}
	return fmt.Sprintf("an event of %s", size(int64(len(w.Event))))
}

// trafficText is empty when the newest revision runs everything.
func trafficText(traffic []api.Share) string {
	var parts []string
	for _, s := range traffic {
		parts = append(parts, fmt.Sprintf("r%d %d%%", s.Revision, s.Percent))
	}
	return strings.Join(parts, ", ")
}

func instancesText(reuse bool) string {
	if reuse {
		return "reused: an event can read what another left in memory"
	}
	return "fresh for every event"
}

func concurrencyText(n int, key *api.KeyLimit) string {
	text := "as many as the node has room for"
	if n > 0 {
		text = strconv.Itoa(n)
	}
	if key != nil {
		text += fmt.Sprintf(", %d of each %s", key.Limit, key.Key)
	}
	return text
}

// adaptiveText is empty for the default.
func adaptiveText(a *api.Adaptive) string {
	switch {
	case a == nil:
		return ""
	case a.Off:
		return "no"
	}
	return "attempts longer than " + durationText(a.Latency) + " are a sign of overload"
}

// rateText is empty for none.
func rateText(r *api.Rate) string {
	if r == nil {
		return ""
	}
	text := fmt.Sprintf("%d in %s", r.Limit, durationText(r.Period))
	if r.Burst > 1 {
		text += fmt.Sprintf(", %d at once", r.Burst)
	}
	if r.Key != "" {
		text += " of each " + r.Key
	}
	return text
}

// scaleText is empty for a function that says nothing of it.
func scaleText(s api.Scale) string {
	var parts []string
	if s.Min > 0 {
		parts = append(parts, fmt.Sprintf("%d instances are kept ready", s.Min))
	}
	if s.Max > 0 {
		parts = append(parts, fmt.Sprintf("at most %d in use", s.Max))
	}
	return strings.Join(parts, ", ")
}

func weightText(n int) string {
	if n <= 1 {
		return ""
	}
	return strconv.Itoa(n)
}

// retryText lists what differs from the defaults.
func retryText(r *api.Retry) string {
	if r == nil {
		return "the defaults"
	}
	var parts []string
	add := func(name, v string) {
		if v != "" && v != "0" {
			parts = append(parts, name+" "+v)
		}
	}
	add("attempts", strconv.Itoa(r.Attempts))
	add("initial", durationText(r.Initial))
	add("factor", strconv.FormatFloat(r.Factor, 'g', -1, 64))
	add("max", durationText(r.Max))
	add("jitter", r.Jitter)
	add("maxAge", durationText(r.MaxAge))
	return strings.Join(parts, ", ")
}

func (c *cli) describeTrigger(t api.Trigger) error {
	topic := topicOf(t)
	key, auth, cors, compress := "", "", "", ""
	if t.HTTP != nil {
		key, auth, cors = t.HTTP.Key, t.HTTP.Auth.String(), corsText(t.HTTP.CORS)
		if t.HTTP.Compress {
			compress = "yes"
		}
	}
	if t.Webhook != nil {
		key = t.Webhook.Key
	}
	pairs := []string{
		"Trigger", t.Name,
		"Namespace", t.Namespace,
		"Kind", t.Kind,
		"Function", t.Function,
		"Serves", servesText(t),
		"Checks", webhookText(t.Webhook),
		"Topic", topic.Name,
		"Filter", topic.Filter,
		"Order", topic.Order,
		"On failure", topic.OnFailure,
		"Delivery", topic.Delivery,
		"Batch", batchText(topic.Batch),
		"Priority", topic.Priority,
		"Key", key,
		"Auth", auth,
		"Pages of", cors,
		"Compresses", compress,
		"ID", strconv.FormatUint(t.ID, 10),
	}
	pairs = append(pairs, cronFields(t)...)
	if s := t.Stats; s != nil {
		pairs = append(pairs,
			"Pending", strconv.Itoa(s.Pending),
			"Retrying", strconv.Itoa(s.Retrying),
			"Wait for", c.waitsText(s.Waits),
			"Dead letters", withAge(strconv.Itoa(s.DeadLetters), "the oldest", c.age(s.OldestDeadLetter)),
			"Parked keys", c.parkedKeys(s))
	}
	if err := c.fields(append(pairs, positionFields(t)...)...); err != nil {
		return err
	}
	switch {
	case t.Stats == nil:
	case t.Stats.Parked > 0:
		c.say("Try: fnctl dlq ls --parked --trigger %s", t.Name)
	case t.Stats.DeadLetters > 0:
		c.say("Try: fnctl dlq ls --trigger %s", t.Name)
	}
	return nil
}

func batchText(b *api.BatchSpec) string {
	if b == nil {
		return ""
	}
	text := fmt.Sprintf("up to %d events", b.Size)
	if b.Window > 0 {
		text += ", waits " + durationText(b.Window) + " for them"
	}
	return text
}

// waitsText says what the events of a trigger wait for, most first.
func (c *cli) waitsText(waits []api.Waits) string {
	var parts []string
	for _, w := range waits {
		parts = append(parts, fmt.Sprintf("%s %d", w.For, w.Count))
	}
	return strings.Join(parts, ", ")
}

func withAge(text, what, age string) string {
	if age == "" {
		return text
	}
	return text + ", " + what + " " + age
}

// parkedKeys says why events of a trigger wait though nothing runs.
func (c *cli) parkedKeys(s *api.TriggerStats) string {
	if s.Parked == 0 {
		return ""
	}
	text := withAge(strconv.Itoa(s.Parked), "the oldest", c.age(s.OldestParked))
	if s.Behind > 0 {
		text += fmt.Sprintf("; found waiting behind them: %d", s.Behind)
	}
	return text
}

func deadLetterText(d *api.DeadLetterSpec) string {
	switch {
	case d == nil:
		return ""
	case d.Topic == "":
		return "with the attributes of Knative"
	case d.Knative:
		return "a copy goes to topic " + d.Topic + ", with the attributes of Knative"
	}
	return "a copy goes to topic " + d.Topic
}

func (c *cli) describeTopic(t api.Topic) error {
	return c.fields(
		"Topic", t.Name,
		"Namespace", t.Namespace,
		"Ingress", ingressText(t),
		"Retention", retentionText(t.Spec),
		"Created", timestamp(t.Created),
	)
}

// retentionText is empty for the defaults of the server.
func retentionText(s api.TopicSpec) string {
	text := durationText(s.Retention)
	if s.Unsettled == "deadletter" {
		text = cmp.Or(text, "7 days") + "; what is not settled by then becomes dead letters"
	}
	return text
}

func keepText(p *api.DeadLetterSpec) string {
	if p == nil {
		return ""
	}
	return durationText(p.Keep)
}

func ingressText(t api.Topic) string {
	if !t.Spec.Ingress {
		return "no; `ingress: true` in fn.yaml opens it"
	}
	return fmt.Sprintf("yes, POST /topics/%s of the gateway; auth: %s", t.Name, t.Spec.Auth)
}
