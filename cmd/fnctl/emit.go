package main

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) emitCommand() *cobra.Command {
	var ev eventFlags
	cmd := &cobra.Command{
		Use:   "emit TOPIC",
		Short: "Send an event to a topic",
		Long: `Send an event to a topic. It answers when the event is stored for good.

Sending an event with the same source and id again is safe: it is stored once, and the answer says so.
With --content-type ` + api.EventJSON + ` or ` + api.EventBatchJSON + `
the data is sent as it is: a whole CloudEvent, or an array of them.`,
		Example: `  fnctl emit orders.created --type com.shop.order --key 42 -d '{"total": 12}'
  fnctl emit orders.created --type com.shop.order --id order-42 -d @order.json --ext tenant=acme
  fnctl emit reminders --type com.shop.reminder --delay 24h -d '{"order": 42}'
  fnctl emit orders.created --content-type ` + api.EventBatchJSON + ` -d @orders.json -o json`,
		Args: argCount(1, 1, "a TOPIC"),
	}
	ev.addFlags(cmd)
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ev.hasData = cmd.Flags().Changed("data")
		return c.emit(cmd.Context(), args[0], &ev)
	}
	return cmd
}

func (c *cli) emit(ctx context.Context, topic string, ev *eventFlags) error {
	contentType, body, err := c.emitBody(topic, ev)
	if err != nil {
		return err
	}
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		published, err := client.Publish(ctx, c.namespace, topic, contentType, body)
		if err != nil {
			return err
		}
		if c.format == jsonForm || c.format == yamlForm {
			return c.object(published)
		}
		return publishedList(topic).show(c, published.Events)
	})
}

// emitBody is what is sent: one event made of the flags, or what the user wrote whole.
func (c *cli) emitBody(topic string, ev *eventFlags) (contentType string, body []byte, err error) {
	if err := ev.checkDelay(); err != nil {
		return "", nil, err
	}
	data, err := c.readData(ev.data)
	if err != nil {
		return "", nil, err
	}
	if ev.contentType == api.EventJSON || ev.contentType == api.EventBatchJSON {
		if ev.delay != "" || ev.at != "" {
			return "", nil, usagef("set evokedelay or evokedeliverat in the event", "--delay and --at are for an event made of the flags, not for one that is sent as it is")
		}
		if !json.Valid(data) {
			return "", nil, usagef("", "the data is not valid JSON: %s", jsonFault(data))
		}
		return ev.contentType, data, nil
	}
	if ev.typ == "" {
		return "", nil, usagef("fnctl emit "+topic+" --type com.example.thing", "an event needs a type")
	}
	full := *ev
	full.source = cmp.Or(ev.source, "/fnctl")
	full.id = cmp.Or(ev.id, newID())
	full.time = c.now().UTC().Format(time.RFC3339Nano)
	body, err = full.build(data)
	return api.EventJSON, body, err
}

func publishedList(topic string) list[api.PublishedEvent] {
	type e = api.PublishedEvent
	return list[e]{
		name: func(e e) string { return e.ID },
		none: "the server stored no event",
		columns: []column[e]{
			{title: "ID", text: func(e e) string { return e.ID }},
			{title: "TOPIC", text: func(e) string { return topic }},
			{title: "PARTITION", text: func(e e) string { return strconv.Itoa(e.Partition) }},
			{title: "OFFSET", text: func(e e) string { return strconv.FormatUint(e.Offset, 10) }},
			{title: "STORED", text: func(e e) string {
				if e.Duplicate {
					return "before (duplicate)"
				}
				return "now"
			}},
		},
	}
}
