// Command extism handles events in a plug-in by Extism's Go SDK, as a yardstick for `bench sandbox`, which starts it:
//
//	extism PLUGIN.wasm
//
// Each line of its input says a mode and for how long, as in "pooled 20ms"; each line of its output how many events that were, and how long they took.
// Pooled handles them one after the other in an instance that is kept, as pools of plug-ins do: Extism does not put it back in between. Fresh makes an
// instance for each, of a plug-in that was compiled once.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	extism "github.com/extism/go-sdk"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "extism:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: extism PLUGIN.wasm")
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: args[0]}}}
	compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return fmt.Errorf("compile %s: %w", args[0], err)
	}
	defer compiled.Close(ctx) //nolint:errcheck // the process ends
	kept, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return fmt.Errorf("make an instance: %w", err)
	}
	defer kept.Close(ctx) //nolint:errcheck // the process ends
	data := make([]byte, 1024)
	modes := map[string]func() error{
		"pooled": func() error { return handle(kept, data) },
		"fresh": func() error {
			p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
			if err != nil {
				return err
			}
			return errors.Join(handle(p, data), p.Close(ctx))
		},
	}
	return serve(modes)
}

func handle(p *extism.Plugin, data []byte) error {
	code, out, err := p.Call("loop", data)
	if err == nil && (code != 0 || len(out) != len(data) || out[0] != data[0]+1) {
		err = fmt.Errorf("it ended with code %d and %d bytes", code, len(out))
	}
	return err
}

// serve answers until its input ends.
func serve(modes map[string]func() error) error {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var mode, text string
		if _, err := fmt.Sscan(in.Text(), &mode, &text); err != nil {
			return fmt.Errorf("read %q: %w", in.Text(), err)
		}
		length, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		one := modes[mode]
		if one == nil {
			return fmt.Errorf("there is no mode %q", mode)
		}
		events, start := 0, time.Now()
		for time.Since(start) < length || events == 0 {
			if err := one(); err != nil {
				return fmt.Errorf("%s: %w", mode, err)
			}
			events++
		}
		if err := out.Encode(answer{Events: events, Took: time.Since(start)}); err != nil {
			return err
		}
	}
	return in.Err()
}

type answer struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
}
