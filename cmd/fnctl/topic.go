package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// group is a command that only holds others.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = noSuchCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}

func (c *cli) topicCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "topic",
		Short: "List topics and watch their events",
		Example: `  fnctl topic ls
  fnctl topic tail orders.created -f`,
	}, c.topicLsCommand(), c.topicTailCommand())
}

func (c *cli) topicLsCommand() *cobra.Command {
	return c.plainLs("List topics", `  fnctl topic ls -o name`, func(ctx context.Context, client *api.Client) error {
		return fetchAndShow(ctx, c, client.Topics, c.topicList())
	})
}

func (c *cli) topicTailCommand() *cobra.Command {
	var o api.TailOptions
	var since string
	cmd := &cobra.Command{
		Use:   "tail TOPIC",
		Short: "Show the newest events of a topic",
		Example: `  fnctl topic tail orders.created
  fnctl topic tail orders.created -f -o jsonl
  fnctl topic tail orders.created -o wide    # with a position token behind each event
  fnctl topic tail orders.created --since 1h --limit 100`,
		Args: argCount(1, 1, "a TOPIC"),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on with new events until interrupted")
	flags.StringVar(&since, "since", "", "stored not before this: a time span like 10m or 2d, or a time like 2026-01-31T12:00:00Z")
	flags.IntVar(&o.Limit, "limit", 0, "only the newest events (default what the server allows)")
	c.formatFlag(cmd, table, wide, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if o.Since, err = c.since(since); err != nil {
			return err
		}
		return c.tail(cmd.Context(), args[0], o)
	}
	return cmd
}

func (c *cli) tail(ctx context.Context, topic string, o api.TailOptions) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := c.streamContext(ctx, o.Follow)
	defer cancel()
	return showEach(c, client.TopicEvents(ctx, c.namespace, topic, o), c.eventLine)
}

// eventLine is one event for people: when and where stored, its attributes, its data.
func (c *cli) eventLine(e api.TopicEvent) string {
	var ev struct {
		ID           string
		Type         string
		Subject      string
		PartitionKey string
		DeliverAt    time.Time `json:"evokedeliverat"`
		Data         json.RawMessage
		DataBase64   string `json:"data_base64"`
	}
	place := fmt.Sprintf("%d/%d", e.Partition, e.Offset)
	head := c.paint(c.out, dim, timestamp(e.Time)+" "+place) + " "
	if json.Unmarshal(e.Event, &ev) != nil {
		return head + printable(oneLine(string(e.Event)))
	}
	parts := []string{ev.Type, "id=" + ev.ID}
	if ev.Subject != "" {
		parts = append(parts, "subject="+ev.Subject)
	}
	if ev.PartitionKey != "" {
		parts = append(parts, "key="+ev.PartitionKey)
	}
	if ev.DeliverAt.After(c.now()) {
		parts = append(parts, "held-back-until="+timestamp(ev.DeliverAt))
	}
	switch {
	case len(ev.Data) > 0:
		parts = append(parts, oneLine(string(ev.Data)))
	case ev.DataBase64 != "":
		parts = append(parts, fmt.Sprintf("(%s of bytes)", size(int64(len(ev.DataBase64)*3/4))))
	}
	if c.format == wide {
		parts = append(parts, "position="+e.Position)
	}
	return head + printable(strings.Join(parts, " "))
}
