#!/bin/sh
# Remakes the modules beside this file. On Debian it takes: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32
set -eu
cd "$(dirname "$0")"

build() {
	out=$1 source=$2
	shift 2
	clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Wl,--strip-all "$@" -o "$out" "$source"
}

build loop.wasm loop.c
build loop4m.wasm loop.c -Wl,--initial-memory=4325376 # 66 pages, as with static tables of 4 MiB
build extism.wasm extism.c
build extismecho.wasm extismecho.c
build workerd.wasm workerd.c
