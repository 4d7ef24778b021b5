// Package abi holds the names and numbers of the guest contract, docs/abi.md. They are frozen.
package abi

// Module is the import module of the host functions.
const Module = "evoke_v1"

// MaxScript bounds a function in JavaScript, in bytes.
const MaxScript = 8 << 20

// Exports of a guest.
const (
	ExportMemory     = "memory"
	ExportHandle     = "evoke_handle"
	ExportInit       = "evoke_init"
	ExportRestore    = "evoke_restore"
	ExportInitialize = "_initialize"
	ExportStart      = "_start"
)

// Verdict is what a guest says of an event.
type Verdict int32

// Verdicts. Any other number means Failed.
const (
	Done     Verdict = 0
	Failed   Verdict = 1
	Rejected Verdict = 2
)

// Results of host functions below zero.
const (
	Absent   int32 = -1
	TooLarge int32 = -2
	Denied   int32 = -3
	Invalid  int32 = -4
	Closed   int32 = -5
)

// Part names a part of an event.
type Part uint32

// Parts of an event.
const (
	PartData       Part = 0
	PartAttributes Part = 1
	PartEvent      Part = 2
	PartRequest    Part = 3

	PartID              Part = 16
	PartSource          Part = 17
	PartType            Part = 18
	PartSubject         Part = 19
	PartTime            Part = 20
	PartDataContentType Part = 21
	PartDataSchema      Part = 22
	PartPartitionKey    Part = 23
	PartMethod          Part = 24
	PartPath            Part = 25
)

// Parts of a reply.
const (
	ReplyData = 0
	ReplyJSON = 1
)

// Log levels, the numbers of log/slog.
const (
	LevelDebug = -4
	LevelInfo  = 0
	LevelWarn  = 4
	LevelError = 8
)

// Capabilities a guest can call.
const (
	OpStateGet    = "state.get"
	OpStateSet    = "state.set"
	OpStateDelete = "state.delete"
	OpStateList   = "state.list"
	OpInvoke      = "invoke"
	OpConfigGet   = "config.get"
	OpSecretGet   = "secret.get"
	OpHTTPFetch   = "http.fetch"
)

// Statuses of a call, numbers of HTTP.
const (
	StatusOK        int32 = 200
	StatusNoContent int32 = 204
	StatusPartial   int32 = 206 // of state.list: there are more names
	StatusInvalid   int32 = 400
	StatusDenied    int32 = 403
	StatusNotFound  int32 = 404
	StatusNoKey     int32 = 412
	StatusTooLarge  int32 = 413
	StatusBusy      int32 = 429
	StatusInternal  int32 = 500

	StatusUnreachable int32 = 502
	StatusTimeout     int32 = 504

	// Of invoke, beside those that say the same here: why the function did not reply. StatusInternal is that it failed.
	StatusRejected    int32 = 422
	StatusTrapped     int32 = 502
	StatusUnavailable int32 = 503
	StatusLoop        int32 = 508
)

// Exit codes of a WASI command.
const (
	ExitDone     = 0
	ExitRejected = 65
)

// Limits of one delivery, in bytes or pieces.
const (
	MaxReply      = 1 << 20
	MaxEmitted    = 1000
	MaxEffects    = 4 << 20
	MaxLog        = 64 << 10
	MaxReason     = 4 << 10
	MaxCalls      = 64
	MaxRequest    = 1 << 20
	MaxStateName  = 512
	MaxStateValue = 256 << 10
	MaxState      = 1000   // state entries that a delivery may look at or write
	MaxStatePage  = 1000   // names in one answer of state.list
	MaxStateNames = 10_000 // names that a delivery may list
)
