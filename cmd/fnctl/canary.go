package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// canaryFlags are those of deploy.
type canaryFlags struct {
	start, step percent
	every       time.Duration
	guard       string
	min         int
}

// The flags that say how a canary goes on, by the field of api.Canary.
var canaryFlagOf = map[string]string{"percent": "canary", "step": "step", "every": "every", "guards": "guard", "min": "min"}

func (f *canaryFlags) add(cmd *cobra.Command) {
	f.step = api.DefaultStep
	flags := cmd.Flags()
	flags.Var(&f.start, "canary", "give the new revisions so much of the traffic to begin with, like 5%")
	flags.Var(&f.step, "step", "with --canary: so much more after every interval")
	flags.DurationVar(&f.every, "every", api.DefaultEvery, "with --canary: the length of an interval")
	flags.StringVar(&f.guard, "guard", api.DefaultGuards, "with --canary: what must hold in every interval")
	flags.IntVar(&f.min, "min", api.DefaultMin, "with --canary: how many attempts of the new revision an interval needs to count")
}

// read is nil without --canary.
func (f *canaryFlags) read(cmd *cobra.Command) (*api.Canary, error) {
	flags := cmd.Flags()
	if !flags.Changed("canary") {
		for _, name := range []string{"step", "every", "guard", "min"} {
			if flags.Changed(name) {
				return nil, usagef("add --canary 5%", "--%s says how a canary goes on, and there is no --canary to begin one", name)
			}
		}
		return nil, nil
	}
	c := api.Canary{Percent: int(f.start), Step: int(f.step), Every: api.Duration(f.every), Guards: f.guard, Min: f.min}
	if wrong, ok := errors.AsType[*api.CanaryError](c.Check()); ok {
		return nil, usagef("", "--%s: %s", canaryFlagOf[wrong.Field], wrong.Problem)
	}
	return &c, nil
}

// percent is a flag like 5% or 5; its range is not checked.
type percent int

// String is of pflag.Value.
func (p *percent) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.Itoa(int(*p)) + "%"
}

// Type is of pflag.Value: what help calls the value.
func (*percent) Type() string { return "PERCENT" }

// Set is of pflag.Value.
func (p *percent) Set(text string) error {
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil {
		return errors.New("it is a whole number of percent, like 5%")
	}
	*p = percent(n)
	return nil
}

// rolloutFields say how a canary stands; none without one.
func (c *cli) rolloutFields(r *api.Rollout) []string {
	if r == nil {
		return nil
	}
	text := fmt.Sprintf("r%d %s", r.Candidate, r.Phase)
	switch {
	case r.Running():
		text += fmt.Sprintf(", %d%% of the traffic", r.Now)
	case !r.Ended.IsZero():
		text += " " + c.age(r.Ended) + " ago"
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	out := []string{"Canary", text}
	if r.Running() {
		out = append(out,
			"Next", c.nextText(r),
			"Guards", fmt.Sprintf("%s, over at least %d attempts", r.Guards, r.Min),
			"Seen", seenText(r.Seen),
			"Goes back to", trafficText(r.Good))
	}
	if len(r.Redrive) > 0 {
		out = append(out, "Hands out again", "what "+revisionsText(r.Redrive)+" gave up on")
	}
	return out
}

// nextText says what happens when the guards hold.
func (c *cli) nextText(r *api.Rollout) string {
	next := fmt.Sprintf("%d%%", min(100, r.Now+r.Step))
	began := r.Since
	if r.Seen != nil && r.Seen.Since.After(began) { // the runtime has started anew
		began = r.Seen.Since
	}
	left := began.Add(time.Duration(r.Every)).Sub(c.now()).Round(time.Second)
	switch {
	case r.Phase == api.PhaseWaiting:
		return next + ", when there has been enough traffic"
	case left <= 0:
		return next + ", now"
	}
	return fmt.Sprintf("%s in %s, of intervals of %s", next, left, time.Duration(r.Every))
}

func seenText(n *api.RolloutCounts) string {
	if n == nil {
		return ""
	}
	text := "1 attempt"
	if n.Attempts != 1 {
		text = strconv.Itoa(n.Attempts) + " attempts"
	}
	return fmt.Sprintf("%s in this interval, %d failed, %d rejected; dead letters: %d", text, n.Errors, n.Rejected, n.Dead)
}

func revisionsText(list []int) string {
	var names []string
	for _, n := range list {
		names = append(names, "r"+strconv.Itoa(n))
	}
	return strings.Join(names, ", ")
}

// revisionArgs reads FUNCTION rN.
func revisionArgs(cmd *cobra.Command, args []string) (function string, revision int, err error) {
	if len(args) != 2 {
		return "", 0, usagef(cmd.CommandPath()+" revision FUNCTION r7", "a revision is named by its FUNCTION and number")
	}
	revision, err = parseRevision(args[1])
	return args[0], revision, err
}

func (c *cli) describeRevision(cmd *cobra.Command, args []string) error {
	function, revision, err := revisionArgs(cmd, args)
	if err != nil {
		return err
	}
	return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
		r, err := client.Revision(ctx, c.namespace, function, revision)
		if err != nil {
			return err
		}
		if c.format != table {
			return c.object(r)
		}
		return c.showRevision(function, r)
	})
}

func (c *cli) showRevision(function string, r api.Revision) error {
	pairs := []string{
		"Revision", revisionsText([]int{r.Revision}),
		"Function", function,
		"Namespace", c.namespace,
		"Deployed", timestamp(r.Created),
		"Traffic", strconv.Itoa(r.Percent) + "%",
		"Needed", cmp.Or(strings.Join(r.Uses, "; "), "no; fnctl rm revision "+function+" "+revisionsText([]int{r.Revision})+" removes it"),
		"Kind", r.Kind,
	}
	pairs = append(pairs, c.rolloutFields(r.Rollout)...)
	if r.Spec != nil {
		pairs = append(pairs, specFields(*r.Spec)...)
	}
	return c.fields(pairs...)
}

func (c *cli) removeRevision(cmd *cobra.Command, args []string) error {
	function, revision, err := revisionArgs(cmd, args)
	if err != nil {
		return err
	}
	return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
		if err := client.DeleteRevision(ctx, c.namespace, function, revision); err != nil {
			return err
		}
		c.say("removed revision r%d of function %s from namespace %s", revision, function, c.namespace)
		return nil
	})
}
