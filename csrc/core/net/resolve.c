/* SPDX-License-Identifier: MIT
 * Runs getaddrinfo in at most MOST_THREADS threads.
 *
 * Ownership: the list of questions holds a reference to each of its entries; the thread that takes an entry takes over
 * this reference. A thread that finds the list empty ends. It decrements `threads` under the mutex under which
 * questions are added, so no question is left without a thread. */
#include "core/net/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/loop/loop.h"

enum { MOST_THREADS = 8, MOST_ADDRESSES = 16 };

static void destroy(struct braid_object *object) {
  struct braid_resolution *resolution = braid_container(object, struct braid_resolution, object);
  braid_wait_queue_dissolve(&resolution->waiters);
  free(resolution->addresses);
  free(resolution);
}

const struct braid_class braid_resolution_class = {"braid.resolution", destroy};

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static void add(struct braid_resolution *resolution, const struct sockaddr *bytes, socklen_t size) {
  if (resolution->count == MOST_ADDRESSES || size > sizeof resolution->addresses->bytes) return;
  struct braid_address *address = &resolution->addresses[resolution->count++];
  memcpy(&address->bytes, bytes, size);
  address->size = size;
}

/* Fills in the answer. Blocks, unless the flags say that the host is a numeric address. */
static void ask(struct braid_resolution *resolution, const char *host, int flags) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV}, *found = NULL;
  char port[16];
  snprintf(port, sizeof port, "%d", resolution->port);
  resolution->error = getaddrinfo(host, port, &hints, &found);
  resolution->number = errno;
  for (const struct addrinfo *one = found; one; one = one->ai_next)
    if (one->ai_family == AF_INET || one->ai_family == AF_INET6) add(resolution, one->ai_addr, one->ai_addrlen);
  if (found) freeaddrinfo(found);
  if (!resolution->error && resolution->count == 0) resolution->error = EAI_NONAME;
}

/* True when it could answer without a thread. */
static bool answer_at_once(struct braid_resolution *resolution, const char *host) {
  if (!host) {
    ask(resolution, NULL, AI_PASSIVE);
    return true;
  }
  if (strcasecmp(host, "localhost") == 0) {
    ask(resolution, "127.0.0.1", AI_NUMERICHOST);
    ask(resolution, "::1", AI_NUMERICHOST);
    resolution->error = 0;
    return true;
  }
  ask(resolution, host, AI_NUMERICHOST);
  if (resolution->error == 0) return true;
  resolution->error = 0;
  return false;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static struct {
  pthread_mutex_t mutex;
  struct braid_list row; /* of questions; guarded by the mutex, as is the number of threads */
  unsigned threads;
} resolver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .row = {&resolver.row, &resolver.row}};

static void finish(struct braid_resolution *resolution) {
  struct braid_wake_list woken = {0};
  braid_guard_enter(&resolution->object.guard);
  resolution->done = true;
  braid_wait_queue_claim_all(&resolution->waiters, BRAID_OK, &woken);
  braid_guard_leave(&resolution->object.guard);
  braid_loop_post_all(&woken);
  braid_object_unref(&resolution->object);
}

/* The next question. NULL: there is none, and the calling thread is no longer counted. */
static struct braid_resolution *next_question(void) {
  pthread_mutex_lock(&resolver.mutex);
  struct braid_list *link = braid_list_pop(&resolver.row);
  if (!link) resolver.threads--;
  pthread_mutex_unlock(&resolver.mutex);
  return link ? braid_container(link, struct braid_resolution, turn) : NULL;
}

static void *answer_all(void *nothing) {
  (void)nothing;
  struct braid_resolution *resolution;
  while ((resolution = next_question())) {
    /* If this reference is the last one, the asker has given up: do not ask. */
    if (atomic_load(&resolution->object.refs) > 1) ask(resolution, resolution->host, 0);
    finish(resolution);
  }
  return NULL;
}

/* Adds the question to the list, and starts a thread if there may be more. False when there is no thread at all. */
static bool submit(struct braid_resolution *resolution) {
  pthread_t thread;
  bool taken = true;
  pthread_mutex_lock(&resolver.mutex);
  if (resolver.threads < MOST_THREADS && braid_thread_start(&thread, answer_all, NULL) == 0) {
    pthread_detach(thread);
    resolver.threads++;
  }
  if (resolver.threads > 0)
    braid_list_push(&resolver.row, &resolution->turn);
  else
    taken = false;
  pthread_mutex_unlock(&resolver.mutex);
  return taken;
}

struct braid_resolution *braid_resolution_new(const char *host, int port) {
  size_t size = host ? strlen(host) + 1 : 1;
  struct braid_resolution *resolution = calloc(1, sizeof *resolution + size);
  if (!resolution) return NULL;
  resolution->addresses = calloc(MOST_ADDRESSES, sizeof *resolution->addresses);
  if (!resolution->addresses) {
    free(resolution);
    return NULL;
  }
  braid_object_init(&resolution->object, &braid_resolution_class);
  braid_object_share(&resolution->object);
  braid_wait_queue_init(&resolution->waiters, &resolution->object.guard);
  braid_list_init(&resolution->turn);
  resolution->port = port;
  memcpy(resolution->host, host ? host : "", size);
  resolution->done = answer_at_once(resolution, host);
  if (resolution->done) return resolution;
  braid_object_ref(&resolution->object);
  if (!submit(resolution)) {
    resolution->error = EAI_AGAIN;
    finish(resolution);
  }
  return resolution;
}

enum braid_status braid_resolution_wait(struct braid_resolution *resolution, struct braid_wait_node *node) {
  enum braid_status status = BRAID_OK;
  braid_guard_enter(&resolution->object.guard);
  if (!resolution->done && node) braid_wait_node_join(node, &resolution->waiters);
  if (!resolution->done) status = node ? BRAID_WAIT : BRAID_EMPTY;
  braid_guard_leave(&resolution->object.guard);
  return status;
}
