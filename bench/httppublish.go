package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"sync/atomic"
)

// batchSize is how many events a batch has.
const batchSize = 100

// publishes is what it costs the server to take events, durably: one by one, beside a bare server that echoes the same body, and in batches, beside one by one.
type publishes struct {
	session             *session
	single, batch, bare *load
	one, hundred        series
}

func (s *session) newPublishes(node, peer *process) *publishes {
	const unit, one = "µs/event", "publish_single_cpu"
	return &publishes{
		session: s,
		single:  &load{addr: node.gateway, connections: publishConnections, status: 202, request: publisher("/bench/single"), process: node},
		batch:   &load{addr: node.gateway, connections: publishConnections, status: 202, request: batchPublisher(), process: node},
		bare:    &load{addr: peer.gateway, connections: publishConnections, status: 200, request: poster("/echo"), process: peer},
		one:     series{name: one, unit: unit, against: "bare echo"},
		hundred: series{name: "publish_batch100_cpu", unit: unit, against: one},
	}
}

func (p *publishes) rows() []row { return []row{p.one.row(), p.hundred.row()} }

func (p *publishes) warmUp(ctx context.Context) error {
	for _, l := range []*load{p.single, p.batch, p.bare} {
		if _, err := l.run(ctx, p.session.slice/5); err != nil {
			return err
		}
	}
	return nil
}

func (p *publishes) round(ctx context.Context) error {
	var each [3]float64
	for i, l := range []*load{p.single, p.batch, p.bare} {
		out, err := l.run(ctx, p.session.slice)
		if err != nil {
			return err
		}
		each[i] = out.cpuEach()
	}
	single, batch, bare := each[0], each[1]/batchSize, each[2]
	p.one.add(single, bare)
	p.hundred.add(batch, single)
	return nil
}

// batchPublisher makes requests that publish a hundred of the events that publisher sends one by one. Their data is bytes, which JSON has in base64.
func batchPublisher() func([]byte) []byte {
	data := base64.StdEncoding.EncodeToString(payload())
	var last atomic.Uint64
	return func(b []byte) []byte {
		first := last.Add(batchSize) - batchSize
		body := bytes.NewBuffer(make([]byte, 0, batchSize*(len(data)+200)))
		for n := first; n < first+batchSize; n++ {
			separator := ','
			if n == first {
				separator = '['
			}
			fmt.Fprintf(body, `%c{"specversion":"1.0","type":"dev.evoke.bench","source":"/bench/batch","id":"%d","subject":"key-%d","datacontenttype":"application/octet-stream","data_base64":"%s"}`,
				separator, n, n%keys, data)
		}
		body.WriteByte(']')
		b = fmt.Appendf(b, "POST /topics/bench HTTP/1.1\r\nHost: bench\r\nContent-Type: application/cloudevents-batch+json\r\nContent-Length: %d\r\n\r\n", body.Len())
		return append(b, body.Bytes()...)
	}
}
