// Command guest is a native function in plain Go, against the imports of docs/abi.md alone. The event's type says what it does.
package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

//go:wasmimport evoke_v1 event_len
func eventLen(ev, part uint32) int32

//go:wasmimport evoke_v1 event_read
func eventRead(ev, part, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 reply
func hostReply(part uint32, ptr unsafe.Pointer, n uint32) int32

const (
	partData = 0
	partType = 18
)

var started = time.Now()

func init() {
	os.Stdout.WriteString("started " + os.Args[0] + " " + os.Getenv("EVOKE_REVISION") + "\n")
}

func main() {}

//go:wasmexport evoke_handle
func handle() int32 {
	switch kind := part(partType); kind {
	case "echo":
		reply(part(partData))
	case "panic":
		panic("out of cheese")
	case "exit":
		os.Exit(4)
	case "loop":
		for n := 0; ; n++ {
			started = started.Add(time.Duration(n))
		}
	case "recurse":
		return int32(recurse(1))
	case "hog":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "goroutines":
		var wg sync.WaitGroup
		var done [8]byte
		for i := range done {
			wg.Go(func() { time.Sleep(time.Millisecond); done[i] = byte('0' + i) })
		}
		wg.Wait()
		reply(string(done[:]))
	case "random":
		reply(strconv.FormatUint(rand.Uint64(), 36))
	case "file":
		_, err := os.ReadFile("/etc/passwd")
		reply(err.Error())
	default:
		os.Stderr.WriteString("no such type: " + kind + "\n")
		return 2
	}
	return 0
}

func recurse(n int) int {
	var frame [64]int
	frame[n%64] = n
	return recurse(n+1) + frame[(n+1)%64]
}

func part(p uint32) string {
	n := eventLen(0, p)
	if n <= 0 {
		return ""
	}
	b := make([]byte, n)
	eventRead(0, p, 0, unsafe.Pointer(&b[0]), uint32(n))
	return string(b)
}

func reply(s string) {
	if len(s) > 0 {
		hostReply(0, unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
	}
}
