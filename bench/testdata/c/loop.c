// A native function in C against the imports of docs/abi.md. It changes every byte of an event's data and replies with it. With four bytes of data it
// spins as often as they say, and replies with nothing.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("evoke_v1"), import_name(name)))

IMPORT("event_read") extern int32_t event_read(uint32_t ev, uint32_t part, uint32_t off, void *to, uint32_t n);
IMPORT("reply") extern int32_t reply(uint32_t part, const void *from, uint32_t n);

enum { most = 1024 };

volatile uint32_t result;

static void spin(uint32_t rounds) {
	uint32_t x = 1;
#pragma clang loop unroll(disable) vectorize(disable)
	for (uint32_t i = 0; i < rounds; i++) {
		x ^= i;
		__asm__ volatile("" : "+r"(x)); // so that no compiler leaves a round out
	}
	result = x;
}

static int32_t respond(uint8_t *data) {
	int32_t n = event_read(0, 0, 0, data, most);
	if (n == 4) {
		uint32_t rounds;
		memcpy(&rounds, data, sizeof rounds);
		spin(rounds);
		return 0;
	}
	for (int32_t i = 0; i < n; i++) {
		data[i]++;
	}
	reply(0, data, (uint32_t)n);
	return 0;
}

__attribute__((export_name("evoke_handle"))) int32_t handle(void) {
	uint8_t *data = malloc(most);
	if (data == NULL) {
		return 1;
	}
	int32_t verdict = respond(data);
	free(data);
	return verdict;
}
