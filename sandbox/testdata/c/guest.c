// A native function in C, against docs/abi.md alone. The event's type says what it does.
#include "evoke.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// part returns a part of the event with a zero byte behind it; empty when the event does not have it. Nothing here is ever freed: the next event begins
// with a memory as new.
static char *part(uint32_t number, uint32_t *len) {
    int32_t n = evoke_event_len(0, number);
    *len = n < 0 ? 0 : (uint32_t)n;
    char *bytes = calloc(1, *len + 1);
    evoke_event_read(0, number, 0, bytes, *len);
    return bytes;
}

static void reply(const char *text) { evoke_reply(REPLY_DATA, text, strlen(text)); }

static char capital[256]; // filled by initialisation: every event finds it so

__attribute__((constructor)) static void fill(void) {
    for (int i = 0; i < 256; i++) capital[i] = i >= 'a' && i <= 'z' ? i - 'a' + 'A' : i;
}

static void upper(char *data, uint32_t len) {
    for (uint32_t i = 0; i < len; i++) data[i] = capital[(uint8_t)data[i]];
    evoke_reply(REPLY_DATA, data, len);
}

static void emit(const char *data) {
    char event[256];
    int len = snprintf(event, sizeof event, "{\"type\":\"dev.test.emitted\",\"data\":\"%.100s\"}", data);
    evoke_emit("out", 3, event, len);
}

static void config(const char *name) {
    int32_t handle = evoke_call("config.get", 10, name, strlen(name));
    if ((int32_t)evoke_call_wait(handle, -1) != 200) return reply("absent");
    int32_t len = evoke_call_len(handle);
    char *value = malloc(len);
    evoke_call_read(handle, 0, value, len);
    evoke_reply(REPLY_DATA, value, len);
}

// find counts how often a text is in memory. It is given backwards, so that its own copies do not count.
static int find(const char *backwards, uint32_t len) {
    const volatile char *memory = 0;
    size_t size = __builtin_wasm_memory_size(0) * 65536;
    int found = 0;
    for (size_t at = 0; at + len <= size; at++) {
        uint32_t same = 0;
        while (same < len && memory[at + same] == backwards[len - 1 - same]) same++;
        found += same == len;
    }
    return found;
}

static void search(const char *backwards, uint32_t len) {
    char count[16];
    snprintf(count, sizeof count, "%d", find(backwards, len));
    reply(count);
}

static volatile char kept[64];

static void hide(const char *backwards, uint32_t len) {
    volatile char *heap = malloc(len);
    for (uint32_t i = 0; i < len && i < sizeof kept; i++) kept[i] = heap[i] = backwards[len - 1 - i];
    search(backwards, len);
}

static volatile int frames;

static int recurse(int n) {
    frames = n;
    return frames < 0 ? 0 : recurse(n + 1) + frames;
}

static void hog(void) {
    for (volatile char *block; (block = malloc(1 << 20));) *block = 1;
    reply("malloc said no");
}

static void die(void) {
    fputs("panic: out of cheese\n", stderr); // a line that begins so becomes the reason
    abort();
}

static void random_bytes(void) {
    uint64_t number;
    if (getentropy(&number, sizeof number)) abort();
    char text[20];
    snprintf(text, sizeof text, "%016llx", number);
    reply(text);
}

static int32_t reject(const char *type) {
    char reason[128];
    int len = snprintf(reason, sizeof reason, "no such type: %.100s", type);
    evoke_verdict(0, REJECTED, -1, reason, len);
    return REJECTED;
}

EXPORT(evoke_handle) int32_t handle(void) {
    uint32_t type_len, len;
    const char *type = part(PART_TYPE, &type_len);
    char *data = part(PART_DATA, &len);
    if (!strcmp(type, "echo")) evoke_reply(REPLY_DATA, data, len);
    else if (!strcmp(type, "upper")) upper(data, len);
    else if (!strcmp(type, "emit")) emit(data);
    else if (!strcmp(type, "config")) config(data);
    else if (!strcmp(type, "log")) evoke_log(LOG_WARN, data, len);
    else if (!strcmp(type, "print")) puts(data);
    else if (!strcmp(type, "random")) random_bytes();
    else if (!strcmp(type, "hide")) hide(data, len);
    else if (!strcmp(type, "search")) search(data, len);
    else if (!strcmp(type, "trap")) die();
    else if (!strcmp(type, "exit")) exit(4);
    else if (!strcmp(type, "hog")) hog();
    else if (!strcmp(type, "recurse")) recurse(1);
    else if (!strcmp(type, "loop")) for (;;) frames++;
    else if (!strcmp(type, "sleep")) nanosleep(&(struct timespec){.tv_sec = 3600}, NULL);
    else return reject(type);
    return DONE;
}
