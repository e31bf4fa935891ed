/* A worker: plays one process's script against its queues, and writes down what happened. */
#define _GNU_SOURCE
#include "worker.h"
#include "arena.h"
#include "json.h"
#include <errno.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

static const uint64_t PATIENCE = 50000000, LOOK = 100000;
static const uint32_t ANY_CALL = UINT32_MAX;
static const message NOTHING;

/* A queue, opened twice: whether a call waits is a property of the description. */
typedef struct end {
    mqd_t waits, hurries;
    int open;
} end;

static word *arena, *own;
static int self;
static uint32_t next_call;
static json *scenario;
static end ends[8];

static void pause_for(uint64_t nanoseconds)
{
    struct timespec time = { 0, nanoseconds };
    nanosleep(&time, NULL);
}

static uint8_t noise(message m, uint32_t index)
{
    uint64_t seed = (uint64_t)m.sender << 32 | m.sequence;
    uint64_t mixed = (seed ^ (uint64_t)index << 17) * 0x9E3779B97F4A7C15ull;
    return mixed >> 56 ^ index;
}

static void payload(message m, uint8_t *bytes)
{
    for (uint32_t i = 0; i < m.size; ++i)
        bytes[i] = noise(m, i);
    if (m.size >= 8) {
        memcpy(bytes, &m.sender, 2);
        memcpy(bytes + 2, &m.sequence, 4);
    }
}

static message message_of(const json *send)
{
    json *m = json_get(send, "message");
    return (message){ json_number(m, "sender"), json_number(m, "sequence"),
                      json_number(m, "size"), json_number(m, "priority") };
}

static int is_payload(message m, const uint8_t *bytes)
{
    uint8_t expected[LARGEST];
    payload(m, expected);
    return !memcmp(expected, bytes, m.size);
}

/* Finds the message of the scenario that these bytes are. */
static enum kind recognise(const uint8_t *bytes, uint32_t size, message *found)
{
    message named = { UINT16_MAX, UINT32_MAX, size, 0 };
    int is_named = size >= 8, alike = 0;
    if (is_named) {
        memcpy(&named.sender, bytes, 2);
        memcpy(&named.sequence, bytes + 2, 4);
    }
    *found = named;
    json *scripts = json_get(scenario, "processes");
    for (json *script = scripts->first; script; script = script->next)
        for (json *step = script->first; step; step = step->next) {
            json *send = json_get(json_get(step, "call"), "send");
            message m = send ? message_of(send) : named;
            if (!send || (!is_named && m.size != size))
                continue;
            if (is_named && (m.sender != named.sender || m.sequence != named.sequence))
                continue;
            if (!alike++ || is_named)
                *found = (message){ m.sender, m.sequence, size, m.priority };
            if ((is_named && m.size != size) || is_payload(m, bytes)) {
                *found = (message){ m.sender, m.sequence, size, m.priority };
                return RETURN_RECEIVED;
            }
        }
    return is_named && !alike && is_payload(named, bytes) ? RETURN_RECEIVED : RETURN_TORN;
}

static struct timespec deadline(uint64_t timeout)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    uint64_t nanoseconds = time.tv_nsec + timeout;
    time.tv_sec += nanoseconds / 1000000000;
    time.tv_nsec = nanoseconds % 1000000000;
    return time;
}

static void call(const json *op)
{
    json *about = op->first;
    end *end = &ends[json_number(about, "link")];
    int sends = !strcmp(about->name, "send"), closes = !strcmp(about->name, "close");
    const char *mode = json_text(about, "mode");
    int timed = !strcmp(mode, "timed"), hurries = !strcmp(mode, "nonblocking");
    message m = sends ? message_of(about) : NOTHING;
    uint8_t *bytes = malloc((sends ? m.size : 0) + LARGEST);
    if (sends)
        payload(m, bytes);
    struct timespec until = deadline(json_number(scenario, "timeout"));
    mqd_t queue = hurries ? end->hurries : end->waits;
    unsigned priority = m.priority;
    uint32_t number = next_call++;
    ssize_t result;

    append(own, now(), CALL, number, 0, NOTHING);
    put(own + IN_CALL, number + 1ull);
    errno = 0;
    if (!end->open)
        result = -1, errno = EBADF;
    else if (closes)
        result = mq_close(end->waits) | mq_close(end->hurries), end->open = 0;
    else if (sends && timed)
        result = mq_timedsend(queue, (char *)bytes, m.size, priority, &until);
    else if (sends)
        result = mq_send(queue, (char *)bytes, m.size, priority);
    else if (timed)
        result = mq_timedreceive(queue, (char *)bytes, LARGEST, NULL, &until);
    else
        result = mq_receive(queue, (char *)bytes, LARGEST, NULL);
    int error = errno;
    uint64_t time = now();

    enum kind kind = RETURN_DONE;
    uint16_t detail = 0;
    message received = NOTHING;
    if (result < 0) {
        kind = RETURN_REFUSED;
        if (error == EAGAIN)
            detail = sends ? FULL : EMPTY;
        else if (error == ETIMEDOUT)
            detail = TIMEOUT;
        else if (error == EMSGSIZE)
            detail = TOO_BIG;
        else {
            kind = ODD;
            fprintf(stderr, "P%d %s: %s\n", self, about->name, strerror(error));
        }
    } else if (!sends && !closes)
        kind = recognise(bytes, result, &received);
    put(own + IN_CALL, 0);
    append(own, time, kind, number, detail, received);
    put(own + RETURNED, peek(own + RETURNED) + 1);
    free(bytes);
}

/* The state letter of a thread; 0 if there is no such thread. */
static char state_of(uint64_t pid, uint64_t tid)
{
    char path[64], stat[512], *name_end;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, stat, sizeof stat - 1);
    if (file >= 0)
        close(file);
    if (length <= 0)
        return 0;
    stat[length] = 0;
    name_end = strrchr(stat, ')');
    return name_end ? name_end[2] : 0;
}

static void await_blocked(int process, uint32_t awaited)
{
    word *other = part(arena, process);
    uint64_t begun = now(), entered = begun, since = begun, inside_before = 0;
    uint64_t asleep = json_number(scenario, "asleep"), patience = PATIENCE + 2 * asleep;
    int any = awaited == ANY_CALL, seen = 0;
    while (now() - begun < 4 * patience && peek(arena + STOP) != 1) {
        if ((!any && peek(other + RETURNED) > awaited) || peek(other + DONE))
            return;
        uint64_t before = now(), inside = peek(other + IN_CALL);
        if (inside != inside_before)
            inside_before = inside, entered = before, seen = 0;
        if (inside && (any || inside == awaited + 1ull)) {
            char state = state_of(peek(other + PID), peek(other + TID));
            seen = state == 'S' || state == 'D' ? seen + 1 : 0;
            if (seen == 1)
                since = before;
            if ((seen >= 3 && now() - since >= asleep) || before - entered > patience) {
                /* It had not returned at `before`: the record of that comes later. */
                append(own, before, BLOCKED, inside - 1, process, NOTHING);
                return;
            }
        }
        pause_for(LOOK);
    }
}

static void await_return(int process, uint32_t awaited)
{
    while (peek(part(arena, process) + RETURNED) <= awaited && peek(arena + STOP) != 1)
        sched_yield();
}

static void kill_process(int process)
{
    uint64_t pid = peek(part(arena, process) + PID);
    append(own, now(), KILL, 0, process, NOTHING);
    kill(pid, SIGKILL);
    for (char state; (state = state_of(pid, pid)) && state != 'Z' && state != 'X';)
        pause_for(LOOK);
    append(own, now(), KILLED, 0, process, NOTHING);
}

static int holds(const json *holders)
{
    for (json *one = holders->first; one; one = one->next)
        if ((int)one->number == self)
            return 1;
    return 0;
}

static int sends(void)
{
    for (json *link = json_get(scenario, "links")->first; link; link = link->next)
        if (holds(json_get(link, "senders")))
            return 1;
    return 0;
}

/* Waits until all that send have left. */
static void await_gone(void)
{
    put(own + AWAITING, 1);
    for (json *link = json_get(scenario, "links")->first; link; link = link->next)
        for (json *one = json_get(link, "senders")->first; one; one = one->next) {
            word *sender = part(arena, (int)one->number);
            while (peek(arena + STOP) != 1) {
                char state = state_of(peek(sender + PID), peek(sender + PID));
                if (peek(sender + DONE) == 1 && (!state || state == 'Z' || state == 'X'))
                    break;
                pause_for(LOOK);
            }
        }
    put(own + AWAITING, 0);
}

static int connect_ends(const json *request)
{
    json *links = json_get(scenario, "links"), *places = json_get(request, "places");
    for (int i = 0; i < json_length(links) && i < 8; ++i) {
        json *link = json_at(links, i);
        if (!holds(json_get(link, "senders")) && !holds(json_get(link, "receivers")))
            continue;
        char name[256];
        snprintf(name, sizeof name, "/%s", json_text(json_at(places, i), "name"));
        ends[i].waits = mq_open(name, O_RDWR | O_CLOEXEC);
        ends[i].hurries = mq_open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (ends[i].waits < 0 || ends[i].hurries < 0) {
            perror(name);
            return 0;
        }
        ends[i].open = 1;
    }
    return 1;
}

int work(const char *text, int process)
{
    /* A worker whose host dies has nobody left to report to. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    json *request = json_read(text);
    self = process;
    scenario = json_get(request, "scenario");
    arena = arena_open(json_text(request, "arena"));
    if (!arena || !scenario || !connect_ends(request))
        return 3;
    own = part(arena, self);
    put(own + PID, getpid());
    put(own + TID, gettid());
    put(own + READY, 1);
    while (peek(arena + GO) != 1 && peek(arena + STOP) != 1)
        sched_yield();
    json *asked = json_get(request, "leave");
    int leave = asked && asked->type == 'w' && !strcmp(asked->text, "true");
    if (leave && !sends())
        await_gone();
    json *script = json_at(json_get(scenario, "processes"), self);
    for (json *step = script->first; step && peek(arena + STOP) != 1; step = step->next) {
        json *what = step->first;
        int other = json_number(what, "process");
        if (!strcmp(what->name, "call")) {
            call(what);
        } else if (!strcmp(what->name, "kill")) {
            kill_process(other);
        } else if (!strcmp(what->name, "await_return")) {
            await_return(other, json_number(what, "call"));
        } else {
            put(own + AWAITING, 1);
            await_blocked(other, json_number(what, "call"));
            put(own + AWAITING, 0);
        }
    }
    put(own + DONE, 1);
    if (leave && sends())
        exit(0);
    /* The ends are kept until the scenario is over. */
    while (peek(arena + STOP) != 1)
        pause_for(LOOK);
    return 0;
}
