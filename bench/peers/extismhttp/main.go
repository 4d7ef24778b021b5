// Command extismhttp answers requests by a plug-in, by Extism's Go SDK and Go's HTTP server, as a yardstick for `bench http`, which starts it:
//
//	extismhttp PLUGIN.wasm
//
// It prints its address and serves until it is killed. As Extism's SDK says of servers, the plug-in is compiled once and each request has an instance to itself;
// instances are kept in a pool, and Extism does not put them back to how they began in between.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	extism "github.com/extism/go-sdk"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "extismhttp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: extismhttp PLUGIN.wasm")
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: args[0]}}}
	compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return fmt.Errorf("compile %s: %w", args[0], err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, &pool{compiled: compiled, idle: make(chan *extism.Plugin, 1024)}) //nolint:gosec // loopback only, and short-lived
}

// pool has the instances that no request uses.
type pool struct {
	compiled *extism.CompiledPlugin
	idle     chan *extism.Plugin
}

func (p *pool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, err := p.call(r.Context(), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(out) // a client that is gone needs no answer
}

func (p *pool) call(ctx context.Context, body []byte) ([]byte, error) {
	var plugin *extism.Plugin
	select {
	case plugin = <-p.idle:
	default:
		var err error
		if plugin, err = p.compiled.Instance(context.WithoutCancel(ctx), extism.PluginInstanceConfig{}); err != nil {
			return nil, err
		}
	}
	code, out, err := plugin.CallWithContext(ctx, "echo", body)
	if err != nil || code != 0 {
		return nil, errors.Join(err, fmt.Errorf("the plug-in ended with code %d", code), plugin.Close(context.WithoutCancel(ctx)))
	}
	out = append([]byte(nil), out...) // it lies in the instance's memory
	select {
	case p.idle <- plugin:
		return out, nil
	default:
		return out, plugin.Close(context.WithoutCancel(ctx))
	}
}
