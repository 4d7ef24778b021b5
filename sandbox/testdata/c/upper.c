#include <stdint.h>
#include <stdlib.h>

#define IMPORT(name) __attribute__((import_module("evoke_v1"), import_name(#name)))

IMPORT(event_len) int32_t event_len(uint32_t event, uint32_t part);
IMPORT(event_read) int32_t event_read(uint32_t event, uint32_t part, uint32_t off, void *to, uint32_t len);
IMPORT(reply) int32_t reply(uint32_t part, const void *from, uint32_t len);

// Replies with the event's data in capitals. Nothing is freed: the next event begins with a memory as new.
__attribute__((export_name("evoke_handle"))) int32_t handle(void) {
    int32_t len = event_len(0, 0);
    if (len < 0) return 2; // no data: rejected
    char *data = malloc(len);
    event_read(0, 0, 0, data, len);
    for (int32_t i = 0; i < len; i++)
        if (data[i] >= 'a' && data[i] <= 'z') data[i] -= 'a' - 'A';
    reply(0, data, len);
    return 0; // done
}
