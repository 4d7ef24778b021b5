package evoke

import (
	"fmt"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Debugf writes a line to the log of the function. `fnctl logs` shows it. An attempt can log 64 KiB.
//
// Package evokelog does the same for log/slog. What is printed to stdout and stderr is logged, too, line by line.
func Debugf(format string, args ...any) { logf(abi.LevelDebug, format, args...) }

// Infof is Debugf one level up.
func Infof(format string, args ...any) { logf(abi.LevelInfo, format, args...) }

// Warnf is Infof one level up.
func Warnf(format string, args ...any) { logf(abi.LevelWarn, format, args...) }

// Errorf is Warnf one level up.
func Errorf(format string, args ...any) { logf(abi.LevelError, format, args...) }

func logf(level int32, format string, args ...any) { host.Log(level, fmt.Sprintf(format, args...)) }
