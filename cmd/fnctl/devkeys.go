package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// devKeys is what the keys of fnctl dev do. press is called by one goroutine; what takes long runs beside it.
type devKeys struct {
	dev *devSession
	// choices are what the next key chooses from; nil = none is asked for.
	choices map[byte]func(context.Context)
	last    *testEvent // the one that r sends again
}

const devHelp = `e  send a test event (events/*.json)
r  send the last one again
d  dead letters: look, and redrive
h  this help
q  end, as Ctrl-C`

// names are the keys that choose one of several.
const choiceKeys = "123456789abcdefghijklmnopqrstuvwxyz"

// read presses keys as they come, until there are no more.
func (k *devKeys) read(ctx context.Context, in io.Reader) {
	for keys := bufio.NewReader(in); ; {
		key, err := keys.ReadByte()
		if err != nil || ctx.Err() != nil {
			return
		}
		k.press(ctx, key)
	}
}

func (k *devKeys) press(ctx context.Context, key byte) {
	if k.choices != nil {
		do := k.choices[key]
		k.choices = nil
		if do == nil {
			k.dev.screen.note("nothing was done")
			return
		}
		do(ctx)
		return
	}
	switch key {
	case 'e':
		k.chooseEvent(ctx)
	case 'r':
		if k.last == nil {
			k.dev.screen.note("nothing has been sent yet; e sends a test event")
			return
		}
		k.send(ctx, *k.last)
	case 'd':
		k.listLetters(ctx)
	case 'h', '?':
		k.dev.screen.note("%s", devHelp)
	case 'q', 4: // Ctrl-D
		k.dev.stop()
	}
}

func (k *devKeys) chooseEvent(ctx context.Context) {
	events, err := testEvents(k.dev.dir, k.dev.functions())
	if err != nil {
		k.dev.fault(err)
		return
	}
	if len(events) == 1 {
		k.send(ctx, events[0])
		return
	}
	var text []string
	choices := map[byte]func(context.Context){}
	for i, e := range events[:min(len(events), len(choiceKeys))] {
		text = append(text, fmt.Sprintf("%c  %s", choiceKeys[i], e))
		choices[choiceKeys[i]] = func(ctx context.Context) { k.send(ctx, e) }
	}
	if more := len(events) - len(choiceKeys); more > 0 {
		text = append(text, fmt.Sprintf("and %d more, which fnctl emit and fnctl invoke send", more))
	}
	k.dev.screen.note("which event?\n%s", strings.Join(text, "\n"))
	k.choices = choices
}

// send sends an event, and waits for its reply beside the keys.
func (k *devKeys) send(ctx context.Context, e testEvent) {
	k.last = &e
	sender, err := k.dev.sender()
	if err != nil {
		k.dev.fault(err)
		return
	}
	k.dev.beside(func() {
		ctx, cancel := k.dev.c.limit(ctx)
		defer cancel()
		text, err := sender.send(ctx, e)
		if err != nil {
			if ctx.Err() == nil {
				k.dev.fault(fmt.Errorf("send %s: %w", e, err))
			}
			return
		}
		k.dev.screen.tell(devLine{Kind: devSent, Text: e.String() + ": " + text})
	})
}

// mostLetters is how many dead letters are shown at once.
const mostLetters = 9

// listLetters shows the newest dead letters, and takes a key for what becomes of them.
func (k *devKeys) listLetters(ctx context.Context) {
	client, err := k.dev.client()
	if err != nil {
		k.dev.fault(err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	page, err := client.DeadLetterPage(ctx, k.dev.c.namespace, api.DeadLetterQuery{Limit: mostLetters})
	if err != nil {
		k.dev.fault(fmt.Errorf("list dead letters: %w", err))
		return
	}
	if len(page.Letters) == 0 {
		k.dev.screen.note("no dead letters")
		return
	}
	command := k.dev.screen.command
	var text []string
	choices := map[byte]func(context.Context){}
	for i, d := range page.Letters {
		text = append(text, fmt.Sprintf("%c  %s  %s  %s ago  %s", choiceKeys[i], d.Function, d.EventType, k.dev.c.age(d.Time), clip(oneLine(d.Error), false)),
			"   fnctl dlq peek "+d.ID+command)
		choices[choiceKeys[i]] = func(ctx context.Context) { k.redrive(ctx, client, api.DeadLetterSelection{IDs: []string{d.ID}}) }
	}
	if page.Next != "" {
		text = append(text, "there are more: fnctl dlq ls"+command)
	}
	choices['A'] = func(ctx context.Context) { k.redrive(ctx, client, api.DeadLetterSelection{All: true}) }
	k.dev.screen.note("dead letters, the newest first; its number redrives one, A all of them, any other key none\n%s", strings.Join(text, "\n"))
	k.choices = choices
}

func (k *devKeys) redrive(ctx context.Context, client *api.Client, which api.DeadLetterSelection) {
	k.dev.beside(func() {
		total, err := k.dev.c.changePages(ctx, client, &changing{DeadLetterSelection: which, did: "redrove", do: (*api.Client).Redrive})
		if err != nil {
			k.dev.fault(fmt.Errorf("redrive: %w", err))
			return
		}
		k.dev.screen.note("redrove %s", countText(total.Changed))
	})
}
