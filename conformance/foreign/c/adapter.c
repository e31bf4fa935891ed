/* POSIX message queues as an adapter in C: speaks the protocol of docs/protocol.md. Its workers
 * are this program again, told by the environment which process of which run they are. */
#define _GNU_SOURCE
#include "arena.h"
#include "json.h"
#include "worker.h"
#include <errno.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static const char WORKER[] = "IPC_C_WORKER", REQUEST[] = "IPC_C_REQUEST";

static FILE *answers;
static word *arena;
static char names[8][256];
static pid_t workers[64];
static int links, width;

static void remove_links(void)
{
    while (links > 0)
        mq_unlink(names[--links]);
}

static void error(const char *what)
{
    fprintf(answers, "{\"is\":\"error\",\"why\":\"%s: %s\"}\n", what, strerror(errno));
}

static void hello(void)
{
    struct utsname kernel;
    uname(&kernel);
    fprintf(answers,
            "{\"is\":\"adapter\",\"protocol\":\"ipc-adapter/1\",\"name\":\"c-posix-mq\","
            "\"version\":\"%s\",\"claims\":[{\"link\":\"mq-%d\",\"threads\":false,"
            "\"processes\":true,\"profile\":{\"capacity\":%d,\"size\":{\"up-to\":%d},"
            "\"order\":\"priority\",\"sender_closed\":\"silent\",\"receiver_closed\":\"silent\","
            "\"sender_killed\":\"silent\",\"receiver_killed\":\"silent\"},"
            "\"documented\":[\"mq_send(3), mq_receive(3): blocking, EAGAIN, priority\","
            "\"mq_open(3): mq_maxmsg, mq_msgsize\"]}]}\n",
            kernel.release, CAPACITY, CAPACITY, LARGEST);
}

static void run(const json *request, const char *line)
{
    json *places = json_get(request, "places");
    json *scripts = json_get(json_get(request, "scenario"), "processes");
    struct mq_attr shape = { .mq_maxmsg = CAPACITY, .mq_msgsize = LARGEST };
    if (strcmp(json_text(request, "way"), "processes")) {
        errno = EINVAL;
        return error("only between processes");
    }
    if (!(arena = arena_open(json_text(request, "arena"))))
        return error("arena");
    for (json *place = places->first; place && links < 8; place = place->next) {
        snprintf(names[links], sizeof names[0], "/%s", json_text(place, "name"));
        mqd_t queue = mq_open(names[links], O_CREAT | O_EXCL | O_RDWR, 0600, &shape);
        if (queue == (mqd_t)-1) {
            error(errno == ENOSPC || errno == EMFILE
                      ? "mq_open, see /proc/sys/fs/mqueue/queues_max and ulimit -q"
                      : "mq_open");
            return remove_links();
        }
        ++links;
        mq_close(queue);
    }
    setenv(REQUEST, line, 1);
    width = json_length(scripts);
    for (int p = 0; p < width; ++p) {
        char number[16];
        snprintf(number, sizeof number, "%d", p);
        setenv(WORKER, number, 1);
        if ((workers[p] = fork()) == 0) {
            execl("/proc/self/exe", "posix-mq", (char *)NULL);
            _exit(127);
        }
    }
    fputs("{\"is\":\"started\"}\n", answers);
}

static void finish(void)
{
    const char *comma = "";
    fputs("{\"is\":\"finished\",\"deaths\":[", answers);
    for (int p = 0; p < width; ++p) {
        int status;
        if (waitpid(workers[p], &status, WNOHANG) != workers[p])
            continue;
        workers[p] = 0;
        if (WIFSIGNALED(status))
            fprintf(answers, "%s{\"process\":%d,\"signal\":%d}", comma, p, WTERMSIG(status));
        else
            fprintf(answers, "%s{\"process\":%d,\"code\":%d}", comma, p, WEXITSTATUS(status));
        comma = ",";
    }
    if (arena)
        put(arena + STOP, 1);
    /* A worker that is stuck in the queue gets 200 ms, the others no time at all. */
    for (int p = 0, left = 200; p < width; ++p) {
        while (workers[p] && waitpid(workers[p], NULL, WNOHANG) == 0) {
            struct timespec millisecond = { 0, 1000000 };
            if (left-- <= 0)
                kill(workers[p], SIGKILL);
            nanosleep(&millisecond, NULL);
        }
    }
    width = 0;
    remove_links();
    fputs("]}\n", answers);
}

static void answer(const char *line)
{
    json *request = json_read(line);
    const char *what = json_text(request, "do");
    if (!strcmp(what, "hello")) {
        hello();
    } else if (!strcmp(what, "run")) {
        run(request, line);
    } else if (!strcmp(what, "finish")) {
        finish();
    } else if (!strcmp(what, "remove")) {
        snprintf(names[0], sizeof names[0], "/%s", json_text(json_get(request, "place"), "name"));
        links = 1;
        remove_links();
        fputs("{\"is\":\"finished\",\"deaths\":[]}\n", answers);
    } else {
        fputs("{\"is\":\"error\",\"why\":\"not a request\"}\n", answers);
    }
    fflush(answers);
}

int main(void)
{
    if (getenv(WORKER))
        return work(getenv(REQUEST), atoi(getenv(WORKER)));
    /* Standard output is for answers and nothing else. */
    answers = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
    dup2(2, 1);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0)
        answer(line);
    if (width)
        finish();
    return 0;
}
