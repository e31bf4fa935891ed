/* The arena of docs/protocol.md. Each word has one writer. */
#ifndef ARENA_H
#define ARENA_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 8, PART = 8, RECORD = 4, RECORDS = 512 };
enum { GO = 3, STOP = 4 };
enum { PID, TID, IN_CALL, RETURNED, COUNT, READY, DONE, AWAITING };
enum kind {
    CALL = 1, RETURN_DONE, RETURN_RECEIVED, RETURN_TORN, RETURN_REFUSED,
    ODD, UNSUPPORTED, BLOCKED, KILLED, KILL
};
enum refusal { FULL, EMPTY, TIMEOUT, CLOSED, TOO_BIG, WRONG_SIZE };

typedef struct message {
    uint16_t sender;
    uint32_t sequence, size, priority;
} message;

typedef _Atomic uint64_t word;

static inline uint64_t now(void)
{
    struct timespec time;
    /* The clock may be read neither before what precedes nor after what follows. */
    atomic_thread_fence(memory_order_seq_cst);
    clock_gettime(CLOCK_MONOTONIC, &time);
    atomic_thread_fence(memory_order_seq_cst);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static inline word *arena_open(const char *path)
{
    struct stat about;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &about))
        return NULL;
    word *arena = mmap(NULL, about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    /* "ipcarena", little end first */
    int known = arena != MAP_FAILED && arena[0] == 0x616e657261637069ull && arena[1] == 1;
    return known ? arena : NULL;
}

static inline word *part(word *arena, int process)
{
    return arena + HEADER + process * (PART + RECORDS * RECORD);
}

static inline uint64_t peek(word *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

static inline void put(word *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_release);
}

static inline void append(word *own, uint64_t time, enum kind kind, uint32_t call,
                          uint16_t detail, message about)
{
    uint64_t count = peek(own + COUNT);
    if (count >= RECORDS)
        return;
    word *record = own + PART + count * RECORD;
    put(record, time);
    put(record + 1, kind | (uint64_t)detail << 8 | (uint64_t)call << 32);
    put(record + 2, (uint64_t)about.sender << 32 | about.sequence);
    put(record + 3, (uint64_t)about.priority << 32 | about.size);
    /* Last: whoever sees the count sees the record. */
    put(own + COUNT, count + 1);
}

#endif
