// Command guest is a native function in plain Go, against the imports of docs/abi.md alone. The event's type says what it does.
package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
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
	case "hide": // many copies, on the heap and on the stack
		secret := part(partData)
		for range 1000 {
			kept = append(kept, strings.Repeat(secret, 100))
		}
		reply(strconv.Itoa(len(kept)))
	case "search": // data is the size of memory and a text backwards: how often is it there?
		size, backwards, _ := strings.Cut(part(partData), " ")
		to, _ := strconv.Atoi(size)
		reply(strconv.Itoa(search(uintptr(to), backwards)))
	case "file":
		_, err := os.ReadFile("/etc/passwd")
		reply(err.Error())
	default:
		os.Stderr.WriteString("no such type: " + kind + "\n")
		return 2
	}
	return 0
}

var kept []string

// search looks for a text given backwards, so that it does not find its own copy.
func search(to uintptr, backwards string) (found int) {
	const from = 4096 // what lies before is the runtime's
	for at := uintptr(from); at < to-uintptr(len(backwards)); at++ {
		n := 0
		for n < len(backwards) && *(*byte)(unsafe.Pointer(at + uintptr(n))) == backwards[len(backwards)-1-n] {
			n++
		}
		if n == len(backwards) {
			found++
		}
	}
	return found
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
