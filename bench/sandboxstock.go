package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/evoke-run/evoke/sdk/abi"
)

// stock is the engine as it comes, with its own WASI and as much of evoke_v1 as the guests need. It is for one goroutine: the event lies beside the
// module, where a host function finds it in no time.
type stock struct {
	engine wazero.Runtime
	data   []byte // of the event
	reply  []byte
	called func() // when the guest starts a capability; nil = nothing happens
}

func newStock(ctx context.Context) (*stock, error) {
	s := &stock{engine: wazero.NewRuntime(ctx)}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, s.engine)
	if err == nil {
		err = s.offer(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up the stock engine: %w", err), s.close())
	}
	return s, nil
}

func (s *stock) close() error { return s.engine.Close(context.Background()) }

func (s *stock) offer(ctx context.Context) error {
	b := s.engine.NewHostModuleBuilder(abi.Module)
	i32 := api.ValueTypeI32
	offer := func(name string, f api.GoModuleFunc, params ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(f, params, []api.ValueType{i32}).Export(name)
	}
	offer("event_read", s.eventRead, i32, i32, i32, i32, i32)
	offer("reply", s.takeReply, i32, i32, i32)
	offer("call", s.call, i32, i32, i32, i32)
	_, err := b.Instantiate(ctx)
	return err
}

// eventRead trusts the guest, which is one of testdata.
func (s *stock) eventRead(_ context.Context, m api.Module, stack []uint64) {
	from := s.data[min(int(uint32(stack[2])), len(s.data)):]
	to, _ := m.Memory().Read(uint32(stack[3]), uint32(stack[4]))
	stack[0] = uint64(copy(to, from))
}

func (s *stock) takeReply(_ context.Context, m api.Module, stack []uint64) {
	b, _ := m.Memory().Read(uint32(stack[1]), uint32(stack[2]))
	s.reply = append(s.reply, b...)
	stack[0] = 0
}

func (s *stock) call(_ context.Context, _ api.Module, stack []uint64) {
	if s.called != nil {
		s.called()
	}
	stack[0] = 1
}

// stockModule is a guest compiled by the stock engine.
type stockModule struct {
	*stock
	compiled wazero.CompiledModule
}

func (s *stock) load(ctx context.Context, wasm []byte) (*stockModule, error) {
	compiled, err := s.engine.CompileModule(ctx, wasm)
	return &stockModule{s, compiled}, err
}

// instantiate makes an instance and initialises it, as every host did before snapshots.
func (m *stockModule) instantiate(ctx context.Context) (api.Module, error) {
	guest, err := m.engine.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if f := guest.ExportedFunction(abi.ExportInitialize); f != nil {
		_, err = f.Call(ctx)
	}
	return guest, err
}

// handle gives an event to an instance. A new reply is made for each, as ours does.
func (m *stockModule) handle(ctx context.Context, f api.Function, data []byte) error {
	var stack [1]uint64
	m.data, m.reply = data, nil
	if err := f.CallWithStack(ctx, stack[:]); err != nil {
		return err
	}
	if stack[0] != 0 {
		return fmt.Errorf("the guest ended with verdict %d on the stock engine", stack[0])
	}
	return nil
}

// fresh handles each event in an instance of its own.
func (m *stockModule) fresh(ctx context.Context, data []byte) subject {
	return func() error {
		guest, err := m.instantiate(ctx)
		if err != nil {
			return err
		}
		return errors.Join(m.handle(ctx, guest.ExportedFunction(abi.ExportHandle), data), guest.Close(ctx))
	}
}

// kept handles all events in one instance, which is made when first needed and closed with the engine.
func (m *stockModule) kept(ctx context.Context, data []byte) subject {
	var handle api.Function
	return func() error {
		if handle == nil {
			guest, err := m.instantiate(ctx)
			if err != nil {
				return err
			}
			handle = guest.ExportedFunction(abi.ExportHandle)
		}
		return m.handle(ctx, handle, data)
	}
}
