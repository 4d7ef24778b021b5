package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// changing is a redrive or discard as the flags describe it.
type changing struct {
	api.DeadLetterSelection
	since string
	rate  rate

	verb, did string // "redrive", "redrove"
	do        func(*api.Client, context.Context, string, api.DeadLetterSelection) (api.DeadLetterResult, error)
}

func (s *changing) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&s.All, "all", false, "all dead letters that --trigger, --filter, --since and --parked let through")
	flags.StringVar(&s.Trigger, "trigger", "", "with --all: only those of this trigger")
	flags.StringVar(&s.Filter, "filter", "", "with --all: only events that this filter matches: CESQL, or JSON of the Subscriptions API (docs/filters.md)")
	flags.StringVar(&s.since, "since", "", "with --all: given up since then, a time span like 2h or a time")
	flags.BoolVar(&s.Parked, "parked", false, "with --all: only those whose key stands still")
	flags.BoolVar(&s.DryRun, "dry-run", false, "change nothing and print the IDs")
	flags.Var(&s.rate, "rate", "no more than so many in a time, like 50/s or 10/m (default as fast as it goes)")
}

// check completes the selection; exactly one of ids and --all it must be.
func (s *changing) check(c *cli, cmd *cobra.Command, ids []string) error {
	path := cmd.CommandPath()
	narrowed := s.Trigger != "" || s.Filter != "" || s.since != "" || s.Parked
	switch {
	case len(ids) == 0 && !s.All:
		return usagef(path+" ID, or "+path+" --all --trigger TRIGGER", "%s needs the IDs of dead letters, or --all", path)
	case len(ids) > 0 && (s.All || narrowed):
		return usagef("", "%s takes either IDs or --all with --trigger, --filter, --since and --parked, not both", path)
	}
	var err error
	s.IDs = ids
	s.Since, err = c.since(s.since)
	return err
}

func (c *cli) dlqRedriveCommand() *cobra.Command {
	s := changing{verb: "redrive", did: "redrove", do: (*api.Client).Redrive}
	var e editing
	cmd := &cobra.Command{
		Use:   "redrive ID… | --all",
		Short: "Send dead letters to their trigger again",
		Long: `Send dead letters to their trigger again.

The same event goes to the same trigger, with attempts from the start and with the revision in force now, or with the one that --to-revision names. With --edit
the event is changed before: it keeps its key, and peek shows what it was.

--all means those that are there when the command begins: one that fails again meanwhile is not sent twice. It can be interrupted at any time and run again.`,
		Example: `  fnctl dlq redrive ID
  fnctl dlq redrive ID --edit
  fnctl dlq redrive --all --trigger charge:orders.created --rate 50/s
  fnctl dlq redrive --all --filter "type = 'com.shop.order'" --since 2h --dry-run`,
	}
	s.addFlags(cmd)
	e.addFlags(cmd)
	cmd.Flags().IntVar(&s.Revision, "to-revision", 0, "the revision of the function that runs them (default the one in force)")
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.check(c, cmd, args); err != nil {
			return err
		}
		if cmd.Flags().Changed("to-revision") && s.Revision < 1 {
			return usagef("", "--to-revision is %d; revisions count from 1", s.Revision)
		}
		if err := e.check(cmd, s.DeadLetterSelection); err != nil {
			return err
		}
		return c.redrive(cmd.Context(), &s, &e)
	}
	return cmd
}

func (c *cli) redrive(ctx context.Context, s *changing, e *editing) error {
	if !e.wanted() {
		return c.change(ctx, s)
	}
	keep, err := c.edit(ctx, s, e)
	if err != nil {
		return err
	}
	return keep(c.change(ctx, s))
}

func (c *cli) dlqDiscardCommand() *cobra.Command {
	s := changing{verb: "discard", did: "discarded", do: (*api.Client).Discard}
	cmd := &cobra.Command{
		Use:   "discard ID… | --all --reason TEXT",
		Short: "Forget dead letters for ever",
		Example: `  fnctl dlq discard ID --reason "test data"
  fnctl dlq discard --all --trigger charge:orders.created --reason "orders were cancelled"`,
	}
	s.addFlags(cmd)
	cmd.Flags().StringVar(&s.Reason, "reason", "", "why; kept in the log (required)")
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.check(c, cmd, args); err != nil {
			return err
		}
		if s.Reason = strings.TrimSpace(s.Reason); s.Reason == "" {
			return usagef(`add --reason "test data"`, "discard forgets events for ever, it needs a --reason")
		}
		return c.change(cmd.Context(), &s)
	}
	return cmd
}

// change goes through a selection page by page, no faster than the rate allows. Each page is changed or not as a whole, so that an end at any time leaves
// nothing half done, and the same command goes on with what is left.
func (c *cli) change(ctx context.Context, s *changing) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if s.All && !s.DryRun {
		c.say("%s: all dead letters%s in namespace %s", s.verb, s.narrowing(), c.namespace)
	}
	total, err := c.changePages(ctx, client, s)
	if err != nil {
		if total.Changed > 0 {
			c.say("%s %s before it ended; the same command goes on with the rest", s.did, countText(total.Changed))
		}
		return err
	}
	return c.changed(s, total)
}

// changePages returns what was changed, also with an error.
func (c *cli) changePages(ctx context.Context, client *api.Client, s *changing) (api.DeadLetterResult, error) {
	total := api.DeadLetterResult{Letters: []api.DeadLetterOutcome{}}
	progress := c.progress()
	defer progress.end()
	ids, next := s.IDs, s.DeadLetterSelection
	for pace := c.newPace(s.rate); ; {
		if n := pace.page(); s.All {
			next.Limit = n
		} else {
			next.IDs, ids = ids[:min(len(ids), n)], ids[min(len(ids), n):]
		}
		res, err := c.changePage(ctx, client, s, next)
		total.Changed += res.Changed
		total.Letters = append(total.Letters, res.Letters...)
		if err != nil || res.Next == "" && len(ids) == 0 {
			return total, err
		}
		progress.doing("%s %s", s.did, countText(total.Changed))
		next.After, next.Before = res.Next, res.Before
		if err := pace.wait(ctx, len(total.Letters)); err != nil {
			return total, err
		}
	}
}

func (c *cli) changePage(ctx context.Context, client *api.Client, s *changing, page api.DeadLetterSelection) (api.DeadLetterResult, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	return s.do(client, ctx, c.namespace, page)
}

// narrowing says which of all are meant.
func (s *changing) narrowing() string {
	var parts []string
	if s.Trigger != "" {
		parts = append(parts, "of trigger "+s.Trigger)
	}
	if s.Filter != "" {
		parts = append(parts, "matching "+strconv.Quote(s.Filter))
	}
	if !s.Since.IsZero() {
		parts = append(parts, "given up since "+timestamp(s.Since))
	}
	if s.Parked {
		parts = append(parts, "that park their key")
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, ", ")
}

// changed says what was done, and what not. Of letters named by id each has to be there; of all others it does not matter who was faster.
func (c *cli) changed(s *changing, total api.DeadLetterResult) error {
	if c.format != table {
		if err := c.object(total); err != nil {
			return err
		}
	}
	failed := failedLetters{verb: s.verb, code: exitOK}
	for _, l := range total.Letters {
		switch l.Outcome {
		case api.LetterSelected:
			if c.format == table {
				if err := c.print("%s\n", l.ID); err != nil {
					return err
				}
			}
		case api.LetterChanged:
		default:
			failed.add(c, l)
		}
	}
	if s.DryRun {
		n := len(slices.DeleteFunc(total.Letters, func(l api.DeadLetterOutcome) bool { return l.Outcome != api.LetterSelected }))
		c.say("would %s %s; nothing was changed", s.verb, countText(n))
	} else {
		c.say("%s %s", s.did, countText(total.Changed))
	}
	if failed.count == 0 || s.All && failed.code == exitNotFound {
		return nil
	}
	return &failed
}

// failedLetters says that some of the letters could not be changed; which and why has been said.
type failedLetters struct {
	verb  string
	count int
	code  int
}

func (f *failedLetters) Error() string { return "could not " + f.verb + " " + countText(f.count) }

func (f *failedLetters) add(c *cli, l api.DeadLetterOutcome) {
	why, code := "is not there: it was redriven or discarded before, or never was", exitNotFound
	switch l.Outcome {
	case api.LetterNoTrigger:
		why, code = "cannot run: its trigger was removed; it can only be discarded", exitConflict
	case api.LetterKeyChanged:
		why, code = "was not edited: the event must keep its key", exitConflict
	}
	f.count++
	f.code = max(f.code, code)
	c.say("%s %s", l.ID, why)
}

func countText(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return strconv.Itoa(n) + " dead letters"
}

// rate is a number in a time, "50/s"; the zero value is no limit.
type rate struct {
	n   int
	per time.Duration
}

// String is of pflag.Value.
func (r *rate) String() string {
	if r.n == 0 {
		return ""
	}
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.per]
	return strconv.Itoa(r.n) + "/" + unit
}

// Type is of pflag.Value: what help calls the value.
func (r *rate) Type() string { return "N/s" }

// Set is of pflag.Value.
func (r *rate) Set(text string) error {
	number, unit, _ := strings.Cut(text, "/")
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(number)
	if !known || err != nil || n < 1 || n > 1_000_000 {
		return fmt.Errorf("it is a number from 1 on in a time, like 50/s, 10/m or 100/h")
	}
	*r = rate{n, per}
	return nil
}
