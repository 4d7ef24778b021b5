// Command order is a native function in plain Go that does what most functions do: it decodes an order of 1 KiB of JSON, adds up its lines and encodes a
// reply.
package main

import (
	"encoding/json"
	"unsafe"
)

//go:wasmimport evoke_v1 event_read
func eventRead(ev, part, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 reply
func reply(part uint32, ptr unsafe.Pointer, n uint32) int32

type order struct {
	ID       string            `json:"id"`
	Customer string            `json:"customer"`
	Currency string            `json:"currency"`
	Lines    []line            `json:"lines"`
	Address  map[string]string `json:"address"`
}

type line struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
}

type receipt struct {
	Order    string `json:"order"`
	Currency string `json:"currency"`
	Items    int    `json:"items"`
	Cents    int    `json:"cents"`
}

var data [2048]byte

// init lets encoding/json look at the types once, before the snapshot.
func init() {
	_, _ = handleJSON([]byte(`{"lines":[{}],"address":{"city":""}}`))
}

func main() {}

//go:wasmexport evoke_handle
func handle() int32 {
	n := eventRead(0, 0, 0, unsafe.Pointer(&data), uint32(len(data)))
	answer, err := handleJSON(data[:n])
	if err != nil {
		return 2
	}
	reply(0, unsafe.Pointer(unsafe.SliceData(answer)), uint32(len(answer)))
	return 0
}

func handleJSON(b []byte) ([]byte, error) {
	var o order
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	r := receipt{Order: o.ID, Currency: o.Currency}
	for _, l := range o.Lines {
		r.Items += l.Quantity
		r.Cents += l.Quantity * l.Cents
	}
	return json.Marshal(r)
}
