// Package js is the SDK of functions in TypeScript and JavaScript: the package @evoke/sdk of npm, as files that fnctl carries with it.
package js

import "embed"

// Name is what functions import.
const Name = "@evoke/sdk"

// Entry is the file that an import of Name means.
const Entry = "index.js"

// Files are the package.
//
//go:embed package.json index.js index.d.ts globals.d.ts
var Files embed.FS
