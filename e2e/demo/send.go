package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// sendAll posts webhooks to a URL as GitHub does, workers at a time. It returns when no request is in flight any more, and the first error.
func sendAll(ctx context.Context, url string, payloads []payload, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(payloads) {
					return
				}
				if err := send(ctx, client, url, payloads[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func send(ctx context.Context, client *http.Client, url string, p payload) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GitHub-Hookshot/d1e2f3a")
	req.Header.Set("X-GitHub-Event", p.event)
	req.Header.Set("X-GitHub-Delivery", p.delivery)
	req.Header.Set("X-GitHub-Hook-ID", "292430182")
	req.Header.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("webhook %s %s: %w", p.event, p.delivery, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("webhook %s %s: read the answer: %w", p.event, p.delivery, err)
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("webhook %s %s: answer %s, want 202: %s", p.event, p.delivery, res.Status, bytes.TrimSpace(body))
	}
	return nil
}
