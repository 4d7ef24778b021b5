package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

func (c *cli) filterCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "filter",
		Short: "Try filters of triggers on an event",
		Long: `Try filters of triggers on an event. No server is needed, but for --trigger: the filters are asked here, by the code that the runtime has, too.

An EVENT is a CloudEvent in the JSON format: the name of a file, - for stdin, or the JSON itself. Without an id or a source it gets those of fnctl emit.`,
		Example: `  fnctl filter test order.json                     # the triggers of the fn.yaml here
  fnctl filter explain order.json --filter "type = 'com.shop.order' AND region = 'eu'"
  fnctl filter eval "LENGTH(subject) / 2" order.json`,
	}, c.filterTestCommand(), c.filterExplainCommand(), c.filterEvalCommand())
}

// filterFlags say whose filters are meant.
type filterFlags struct {
	text, trigger, file, topic string
	hasText                    bool
}

func (f *filterFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.text, "filter", "", "this filter: CESQL, or JSON of the Subscriptions API")
	flags.StringVar(&f.trigger, "trigger", "", "the filter of this trigger on the server; see fnctl ls trigger")
	flags.StringVarP(&f.file, "file", "f", "", "the topic triggers of this manifest (default fn.yaml, without the flags before)")
	flags.StringVar(&f.topic, "topic", "", "the topic of the event; without it, all topics of triggers count as its own")
}

func (c *cli) filterTestCommand() *cobra.Command {
	var f filterFlags
	cmd := &cobra.Command{
		Use:   "test EVENT",
		Short: "Say which triggers an event is for, and which rule decided",
		Long: `Say which triggers an event is for, and which rule of their filters decided.

The exit code is 0 when a filter matches and 1 when none does. With -o json a filter that is CESQL also has the value that it came to, and in what error it ended
(errorKind: parse, math, cast, missingAttribute, missingFunction, functionEvaluation, generic): such a filter does not match.`,
		Example: `  fnctl filter test order.json
  fnctl filter test order.json --topic orders.created
  fnctl filter test order.json --trigger charge:orders.created
  fnctl filter test - --filter "type LIKE 'com.shop.%'" < order.json
  fnctl filter test order.json --filter '{"data": {"order.total": [{"numeric": [">=", 100]}]}}' -o json`,
		Args: argCount(1, 1, "an EVENT: a file, - for stdin, or JSON"),
	}
	f.addFlags(cmd)
	c.formatFlag(cmd, table, jsonForm, yamlForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.tryFilters(cmd, &f, args[0], c.showVerdicts)
	}
	return cmd
}

func (c *cli) filterExplainCommand() *cobra.Command {
	var f filterFlags
	cmd := &cobra.Command{
		Use:   "explain EVENT",
		Short: "Show what every rule of a filter makes of an event",
		Long: `Show what every rule of a filter makes of an event, one line each, inner rules indented. An arrow stands at the one that decided.

The exit code is that of fnctl filter test.`,
		Example: `  fnctl filter explain order.json --trigger charge:orders.created
  fnctl filter explain order.json --filter '[{"exact": {"type": "com.shop.order"}}, {"not": {"prefix": {"source": "/test"}}}]'`,
		Args: argCount(1, 1, "an EVENT: a file, - for stdin, or JSON"),
	}
	f.addFlags(cmd)
	c.formatFlag(cmd, table, jsonForm, yamlForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.tryFilters(cmd, &f, args[0], c.showExplanations)
	}
	return cmd
}

// verdict is what a filter made of an event.
type verdict struct {
	Function string `json:"function,omitempty"`
	Topic    string `json:"topic,omitempty"`
	Filter   string `json:"filter"`
	Matched  bool   `json:"matched"`
	// DecidedBy is the rule that made it so, for people.
	DecidedBy string `json:"decidedBy"`
	// Value and what follows it are of a filter that is CESQL; of another one only the error, if it is none at all.
	Value       any                 `json:"value,omitempty"`
	Error       string              `json:"error,omitempty"`
	ErrorKind   string              `json:"errorKind,omitempty"`
	Explanation *filter.Explanation `json:"explanation,omitempty"`
}

// errNoMatch is an answer, not a fault: it ends with exit code 1 and nothing is reported.
var errNoMatch = errors.New("no filter matches")

// tryFilters asks the filters that the flags mean. show gets what they said; what is refused at deploy is shown, too, and then reported.
func (c *cli) tryFilters(cmd *cobra.Command, f *filterFlags, from string, show func([]verdict, bool) error) error {
	f.hasText = cmd.Flags().Changed("filter")
	if f.hasText && f.trigger != "" || f.file != "" && (f.hasText || f.trigger != "") {
		return usagef("", "there is more than one of --filter, --trigger and --file; each says whose filters are meant")
	}
	if f.topic != "" {
		if err := filter.ValidTopic(f.topic); err != nil {
			return usagef("--topic orders.created", "--topic: %w", err)
		}
	}
	e, err := c.readEvent(from)
	if err != nil {
		return err
	}
	all, err := c.wantedFilters(cmd.Context(), f)
	if err != nil {
		return err
	}
	matched := false
	for i := range all {
		if refused := all[i].try(e, f.topic); err == nil {
			err = refused
		}
		matched = matched || all[i].Matched
	}
	many := !f.hasText && f.trigger == ""
	if err != nil && (c.format == table || many) {
		return err
	}
	if err := errors.Join(show(all, many), err); err != nil || matched {
		return err
	}
	return errNoMatch
}

// wantedFilters are those that the flags mean, not asked yet.
func (c *cli) wantedFilters(ctx context.Context, f *filterFlags) (all []verdict, err error) {
	switch {
	case f.hasText:
		return []verdict{{Filter: f.text}}, nil
	case f.trigger != "":
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		ctx, cancel := c.limit(ctx)
		defer cancel()
		t, err := client.Trigger(ctx, c.namespace, f.trigger)
		if err != nil {
			return nil, err
		}
		if t.Topic == nil {
			return nil, usagef("fnctl ls trigger, and one of kind topic", "trigger %s is of kind %s, which has no filter", t.Name, t.Kind)
		}
		return []verdict{{Function: t.Function, Topic: t.Topic.Name, Filter: t.Topic.Filter}}, nil
	}
	file, _ := manifestFile(f.file, nil)
	if _, err := os.Stat(file); f.file == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, usagef(`--filter "type = 'com.shop.order'", --trigger NAME or --file FILE`, "there is no fn.yaml here that would say whose filters are meant")
	}
	m, err := readManifest(file)
	if err != nil {
		return nil, err
	}
	for _, fn := range m.Functions {
		for _, t := range fn.Spec.Triggers {
			if t.Topic != nil {
				all = append(all, verdict{Function: fn.Name, Topic: t.Topic.Name, Filter: t.Topic.Filter})
			}
		}
	}
	if len(all) == 0 {
		return nil, usagef("", "%s has no topic triggers", file)
	}
	return all, nil
}

// try asks the filter, and the pattern of its trigger if the event's topic is known. The error is that of a filter that a deploy refuses.
func (v *verdict) try(e *event.Event, topic string) error {
	if filter.IsCESQL(v.Filter) {
		r := filter.Evaluate(v.Filter, e)
		v.Value, v.ErrorKind = r.Value, r.Kind()
		if r.Err != nil {
			v.Error = r.Err.Error()
		}
	}
	f, err := filter.Parse(v.Filter)
	if err != nil {
		if v.ErrorKind == "" {
			v.Error, v.ErrorKind = err.Error(), "parse"
		}
		v.DecidedBy = "the filter is refused: " + err.Error()
		return usagef("docs/filters.md, which has all that a filter may be", "filter: %w", err)
	}
	x := f.Explain(e)
	v.Matched, v.DecidedBy, v.Explanation = x.Matched, x.Deciding().String(), &x
	if topic == "" || v.Topic == "" {
		return nil
	}
	if p, err := filter.ParsePattern(v.Topic); err != nil || !p.Match(topic) {
		v.Matched, v.DecidedBy = false, fmt.Sprintf("its topic %s is not %s", v.Topic, topic)
	}
	return nil
}

// readEvent reads a CloudEvent in the JSON format.
func (c *cli) readEvent(from string) (*event.Event, error) {
	text, from, err := c.eventText(from)
	if err != nil {
		return nil, err
	}
	const try = `an event such as {"type": "com.shop.order", "subject": "A-17", "data": {"total": 12}}`
	if !json.Valid(text) {
		return nil, usagef(try, "%s is not valid JSON: %s", from, jsonFault(text))
	}
	e := &event.Event{}
	if err := e.UnmarshalJSON(text); err != nil {
		return nil, usagef(try, "%s: %w", from, err)
	}
	if e.ID == "" {
		e.ID = newID()
	}
	if e.Source == "" {
		e.Source = "/fnctl"
	}
	if err := e.Validate(); err != nil {
		return nil, usagef(try, "%s: %w", from, err)
	}
	return e, nil
}

// eventText is what an EVENT stands for, and its name in messages.
func (c *cli) eventText(from string) (text []byte, name string, err error) {
	if trimmed := strings.TrimSpace(from); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		return []byte(from), "the event", nil
	}
	if from == "-" {
		text, err = readAll(c.in, "stdin")
		return text, "stdin", err
	}
	name = strings.TrimPrefix(from, "@")
	f, err := os.Open(name)
	if err != nil {
		return nil, "", &usageError{err: fmt.Errorf("event: %w", err), try: "a FILE that is there, - for stdin, or the event itself"}
	}
	defer f.Close() // only read
	text, err = readAll(f, name)
	return text, name, err
}

func (c *cli) showVerdicts(all []verdict, many bool) error {
	for i := range all {
		all[i].Explanation = nil
	}
	if !many && c.format != table {
		return c.objectOrLine(all[0])
	}
	if !many {
		return c.fields("Matches", yesNo(all[0].Matched), "Decided by", all[0].DecidedBy)
	}
	type v = verdict
	return list[v]{
		columns: []column[v]{
			{title: "FUNCTION", text: func(v v) string { return v.Function }},
			{title: "TOPIC", text: func(v v) string { return v.Topic }},
			{title: "MATCHES", text: func(v v) string { return yesNo(v.Matched) }},
			{title: "DECIDED BY", text: func(v v) string { return oneLine(v.DecidedBy) }},
		},
	}.show(c, all)
}

func (c *cli) objectOrLine(v any) error {
	if c.format == jsonLines {
		return c.line(v)
	}
	return c.object(v)
}

func (c *cli) showExplanations(all []verdict, many bool) error {
	if c.format != table {
		if many {
			return list[verdict]{}.show(c, all)
		}
		return c.objectOrLine(all[0])
	}
	for i, v := range all {
		head := ""
		if many {
			head = fmt.Sprintf("%s on %s: %s\n", v.Function, v.Topic, yesNo(v.Matched))
		}
		if v.Matched != v.Explanation.Matched {
			head += v.DecidedBy + "\n" // and what the filter would have said
		}
		if i > 0 {
			head = "\n" + head
		}
		if err := c.print("%s", printable(head+v.Explanation.Text())); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) filterEvalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval EXPRESSION [EVENT]",
		Short: "Print the value of a CESQL expression",
		Long: `Print the value of a CESQL expression for an event, or for one that has nothing but an id, a source and a type.

An expression that ends in an error still has a value, which is printed; the error is reported, and the exit code is 1. Write -- before one
that begins with a minus sign.`,
		Example: `  fnctl filter eval "2 * (3 + 4)"
  fnctl filter eval "SUBSTRING(type, 10)" order.json
  fnctl filter eval "subject = 'A-17'" - -o json < order.json`,
		Args: argCount(1, 2, "an EXPRESSION, and an EVENT if it looks at one"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from := `{"type": "dev.evoke.example"}`
		if len(args) > 1 {
			from = args[1]
		}
		e, err := c.readEvent(from)
		if err != nil {
			return err
		}
		return c.showValue(filter.Evaluate(args[0], e))
	}
	return cmd
}

func (c *cli) showValue(r filter.Result) error {
	err := r.Err
	if r.Kind() == "parse" {
		err = usagef("", "expression: %w", r.Err)
	}
	if c.format != table {
		out := struct {
			Value     any    `json:"value"`
			Error     string `json:"error,omitempty"`
			ErrorKind string `json:"errorKind,omitempty"`
		}{Value: r.Value, ErrorKind: r.Kind()}
		if r.Err != nil {
			out.Error = r.Err.Error()
		}
		return errors.Join(c.object(out), err)
	}
	if r.Value != nil {
		return errors.Join(c.print("%s\n", printable(fmt.Sprint(r.Value))), err)
	}
	return err
}
