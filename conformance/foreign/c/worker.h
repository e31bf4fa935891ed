#ifndef WORKER_H
#define WORKER_H

/* The most bytes of a message, and the most messages that wait. */
enum { LARGEST = 64, CAPACITY = 2 };

/* Plays one process of the scenario of this run request, from beginning to end. */
int work(const char *request, int process);

#endif
