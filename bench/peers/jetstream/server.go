package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What is stored: the sizes of Evoke's side.
const (
	payloadSize = 1 << 10
	outputSize  = 512
	stateSize   = 256
	keys        = 1000
)

// lanes is how many consumers work side by side on their own subjects.
const lanes = 4

// window is how many asynchronous publishes may be unacknowledged.
const window = 1024

// patience is how long the server or an acknowledgement may take.
const patience = 20 * time.Second

// bench is a server with its client and a stream for what comes in ("in.LANE.KEY") and for what goes out ("fx.…").
type bench struct {
	dir     string
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	in      jetstream.Stream
	payload []byte
}

func open(ctx context.Context, parent string, always bool) (*bench, error) {
	b := &bench{payload: make([]byte, payloadSize)}
	_, _ = rand.Read(b.payload) // never fails
	var err error
	if b.dir, err = os.MkdirTemp(parent, "jetstream-"); err != nil {
		return nil, err
	}
	if err := b.start(ctx, always); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) start(ctx context.Context, always bool) (err error) {
	b.server, err = server.NewServer(&server.Options{
		ServerName: "bench", DontListen: true, NoSigs: true, NoLog: true, MaxPending: 256 << 20,
		JetStream: true, StoreDir: b.dir, SyncAlways: always, JetStreamMaxMemory: 2 << 30, JetStreamMaxStore: 40 << 30,
	})
	if err != nil {
		return err
	}
	b.server.Start()
	if !b.server.ReadyForConnections(patience) {
		return fmt.Errorf("the server is not ready after %v", patience)
	}
	if b.conn, err = nats.Connect("", nats.InProcessServer(b.server)); err != nil {
		return err
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(window)); err != nil {
		return err
	}
	if b.in, err = b.js.CreateStream(ctx, jetstream.StreamConfig{Name: "in", Subjects: []string{"in.>"}, Storage: jetstream.FileStorage}); err != nil {
		return err
	}
	_, err = b.js.CreateStream(ctx, jetstream.StreamConfig{Name: "fx", Subjects: []string{"fx.>"}, Storage: jetstream.FileStorage, AllowRollup: true})
	return err
}

func (b *bench) close() error {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	return os.RemoveAll(b.dir)
}

// subject of the i-th message: its key belongs to one lane.
func subject(i int) string {
	k := i % keys
	return fmt.Sprintf("in.%d.%d", k%lanes, k)
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quantile is 0 for no values. It sorts them.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
