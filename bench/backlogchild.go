package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/evoke-run/evoke/partition"
)

// backlogArg starts this program as the one in which events wait: serve-backlog DIR. Each line of its input is "open EPOCH", or a topic and how many events to store
// in it.
const backlogArg = "serve-backlog"

const askOpen = "open"

// backlogAnswer is what it says to a line.
type backlogAnswer struct {
	Took time.Duration `json:"took_ns"` // of open: until the first event was taken; 0 when there is none
	RSS  float64       `json:"rss_mib"` // after the heap was tidied up
}

// backlogData is the data of an event that waits.
const backlogData = 100

// serveBacklog returns the exit code when its input ends.
func serveBacklog(dir string, stdin io.Reader, stdout, stderr io.Writer) int {
	b := &backlog{dir: dir}
	err := b.serve(stdin, stdout)
	if b.world != nil {
		err = errors.Join(err, b.world.close())
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench backlog:", err)
		return 1
	}
	return 0
}

type backlog struct {
	dir   string
	world *world
}

func (b *backlog) serve(stdin io.Reader, stdout io.Writer) error {
	in, out := bufio.NewScanner(stdin), json.NewEncoder(stdout)
	for in.Scan() {
		var what string
		var n int
		if _, err := fmt.Sscan(in.Text(), &what, &n); err != nil {
			return fmt.Errorf("read %q: %w", in.Text(), err)
		}
		var a backlogAnswer
		var err error
		if what == askOpen {
			a.Took, err = b.open(uint64(n))
		} else {
			err = b.world.fill(context.Background(), what, n)
		}
		if err != nil {
			return err
		}
		debug.FreeOSMemory() // what the process would give back in a while
		kib, err := statusKiB(os.Getpid(), "VmRSS")
		if err != nil {
			return err
		}
		a.RSS = kib / 1024
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

// open takes the first event that waits.
func (b *backlog) open(epoch uint64) (took time.Duration, err error) {
	start := time.Now()
	b.world, err = openWorld(context.Background(), b.dir, partition.Trigger{}, func(o *partition.Options) { o.Epoch = epoch })
	if err != nil {
		return 0, err
	}
	b.world.keys, b.world.payload = 1e6, b.world.payload[:backlogData]
	list, err := b.world.table.Take(triggerID, 1)
	if len(list) == 0 || err != nil {
		return 0, err
	}
	took = time.Since(start)
	b.world.table.Release(&list[0])
	return took, nil
}
