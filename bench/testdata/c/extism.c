// The loop of loop.c as an Extism plug-in, without its PDK: input and output pass eight bytes at a time, as in every PDK.
#include <stdint.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("extism:host/env"), import_name(name)))

IMPORT("input_length") extern uint64_t input_length(void);
IMPORT("input_load_u64") extern uint64_t input_load_u64(uint64_t at);
IMPORT("input_load_u8") extern uint32_t input_load_u8(uint64_t at);
IMPORT("alloc") extern uint64_t alloc(uint64_t n);
IMPORT("store_u64") extern void store_u64(uint64_t at, uint64_t value);
IMPORT("store_u8") extern void store_u8(uint64_t at, uint32_t value);
IMPORT("output_set") extern void output_set(uint64_t at, uint64_t n);

static uint8_t data[1024];

__attribute__((export_name("loop"))) int32_t loop(void) {
	uint64_t n = input_length();
	if (n > sizeof data) {
		return 1;
	}
	uint64_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t word = input_load_u64(i);
		memcpy(data + i, &word, 8);
	}
	for (; i < n; i++) {
		data[i] = (uint8_t)input_load_u8(i);
	}
	for (i = 0; i < n; i++) {
		data[i]++;
	}
	uint64_t out = alloc(n);
	for (i = 0; i + 8 <= n; i += 8) {
		uint64_t word;
		memcpy(&word, data + i, 8);
		store_u64(out + i, word);
	}
	for (; i < n; i++) {
		store_u8(out + i, data[i]);
	}
	output_set(out, n);
	return 0;
}
