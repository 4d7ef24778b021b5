// An echo as an Extism plug-in, without its PDK: input and output pass eight bytes at a time, as in every PDK.
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("extism:host/env"), import_name(name)))

IMPORT("input_length") extern uint64_t input_length(void);
IMPORT("input_load_u64") extern uint64_t input_load_u64(uint64_t at);
IMPORT("input_load_u8") extern uint32_t input_load_u8(uint64_t at);
IMPORT("alloc") extern uint64_t alloc(uint64_t n);
IMPORT("store_u64") extern void store_u64(uint64_t at, uint64_t value);
IMPORT("store_u8") extern void store_u8(uint64_t at, uint32_t value);
IMPORT("output_set") extern void output_set(uint64_t at, uint64_t n);

__attribute__((export_name("echo"))) int32_t echo(void) {
	uint64_t n = input_length(), out = alloc(n), i = 0;
	for (; i + 8 <= n; i += 8) {
		store_u64(out + i, input_load_u64(i));
	}
	for (; i < n; i++) {
		store_u8(out + i, input_load_u8(i));
	}
	output_set(out, n);
	return 0;
}
