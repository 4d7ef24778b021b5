// The imports of docs/abi.md and the numbers that go with them.
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("evoke_v1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

enum { PART_DATA = 0, PART_TYPE = 18 };
enum { REPLY_DATA = 0, REPLY_JSON = 1 };
enum { DONE = 0, FAILED = 1, REJECTED = 2 };
enum { LOG_DEBUG = -4, LOG_INFO = 0, LOG_WARN = 4, LOG_ERROR = 8 };

IMPORT(event_count) int32_t evoke_event_count(void);
IMPORT(event_len) int32_t evoke_event_len(uint32_t event, uint32_t part);
IMPORT(event_read) int32_t evoke_event_read(uint32_t event, uint32_t part, uint32_t off, void *to, uint32_t len);
IMPORT(reply) int32_t evoke_reply(uint32_t part, const void *from, uint32_t len);
IMPORT(emit) int32_t evoke_emit(const char *topic, uint32_t topic_len, const char *event, uint32_t event_len);
IMPORT(verdict) int32_t evoke_verdict(int32_t event, uint32_t verdict, int64_t retry_after_ms, const char *reason, uint32_t len);
IMPORT(log) void evoke_log(int32_t level, const char *text, uint32_t len);
IMPORT(call) int32_t evoke_call(const char *operation, uint32_t operation_len, const void *request, uint32_t request_len);
IMPORT(call_wait) int64_t evoke_call_wait(int32_t handle, int64_t timeout_ms);
IMPORT(call_len) int32_t evoke_call_len(int32_t handle);
IMPORT(call_read) int32_t evoke_call_read(int32_t handle, uint32_t off, void *to, uint32_t len);
IMPORT(call_close) int32_t evoke_call_close(int32_t handle);
IMPORT(deadline_ms) int64_t evoke_deadline_ms(void);
