package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// payloadSize is the data of every event that is measured.
const payloadSize = 1 << 10

// fsyncLoop is the yardstick of what is durable: it appends 1 KiB to a file and fsyncs it, again and again, as a program without group commit would do
// for every event. More goroutines behind a mutex would not make it faster.
func (s *session) fsyncLoop(ctx context.Context) (sample, error) {
	file, err := os.Create(filepath.Join(s.dir, "fsync"))
	if err != nil {
		return sample{}, fmt.Errorf("create the yardstick's file: %w", err)
	}
	out, err := appendAndSync(ctx, file, s.slice)
	if err := errors.Join(err, file.Close()); err != nil {
		return sample{}, fmt.Errorf("fsync loop: %w", err)
	}
	s.disk = append(s.disk, out.latencies...)
	return out, nil
}

func appendAndSync(ctx context.Context, file *os.File, length time.Duration) (sample, error) {
	payload := make([]byte, payloadSize)
	var out sample
	start := time.Now()
	for ctx.Err() == nil {
		before := time.Now()
		if _, err := file.Write(payload); err != nil {
			return sample{}, err
		}
		if err := file.Sync(); err != nil {
			return sample{}, err
		}
		out.add(time.Since(before))
		if out.elapsed = time.Since(start); out.elapsed >= length {
			return out, nil
		}
	}
	return sample{}, context.Cause(ctx)
}
