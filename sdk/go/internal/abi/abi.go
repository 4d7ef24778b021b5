// Package abi holds the names and numbers of the guest contract. A test of the runtime compares them with its own.
package abi

// Module is the import module of the host functions.
const Module = "evoke_v1"

// Exports of a guest.
const (
	ExportHandle = "evoke_handle"
	ExportInit   = "evoke_init"
)

// Verdicts.
const (
	Done     = 0
	Failed   = 1
	Rejected = 2
)

// Results of host functions below zero.
const (
	Absent   = -1
	TooLarge = -2
	Denied   = -3
	Invalid  = -4
	Closed   = -5
)

// Parts of an event.
const (
	PartData       = 0
	PartAttributes = 1
	PartEvent      = 2
	PartRequest    = 3

	PartID              = 16
	PartSource          = 17
	PartType            = 18
	PartSubject         = 19
	PartTime            = 20
	PartDataContentType = 21
	PartDataSchema      = 22
	PartPartitionKey    = 23
	PartMethod          = 24
	PartPath            = 25
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

// Statuses of a call, numbers of HTTP.
const (
	StatusOK        = 200
	StatusNoContent = 204
	StatusPartial   = 206
	StatusInvalid   = 400
	StatusDenied    = 403
	StatusNotFound  = 404
	StatusNoKey     = 412
	StatusTooLarge  = 413
	StatusBusy      = 429
	StatusInternal  = 500

	StatusUnreachable = 502
	StatusTimeout     = 504

	StatusRejected    = 422
	StatusTrapped     = 502
	StatusUnavailable = 503
	StatusLoop        = 508
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

// Limits of one delivery, in bytes or pieces.
const (
	MaxReply      = 1 << 20
	MaxEmitted    = 1000
	MaxEffects    = 4 << 20
	MaxReason     = 4 << 10
	MaxCalls      = 64
	MaxRequest    = 1 << 20
	MaxStateName  = 512
	MaxStateValue = 256 << 10
	MaxState      = 1000 // state entries that a delivery may look at or write
	MaxStatePage  = 1000
	MaxStateNames = 10_000
)
