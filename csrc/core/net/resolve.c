/* SPDX-License-Identifier: MIT
 * Runs getaddrinfo on the threads of core/loop/blocking. */
#include "core/net/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_ADDRESSES = 16 };

static void destroy(struct braid_object *object) {
  struct braid_resolution *resolution = braid_container(object, struct braid_resolution, work.object);
  braid_blocking_term(&resolution->work);
  free(resolution->addresses);
  free(resolution);
}

const struct braid_class braid_resolution_class = {"braid.resolution", destroy};

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

static void run(struct braid_blocking *work) {
  struct braid_resolution *resolution = braid_container(work, struct braid_resolution, work);
  ask(resolution, resolution->host, 0);
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
  braid_blocking_init(&resolution->work, &braid_resolution_class, run);
  resolution->port = port;
  memcpy(resolution->host, host ? host : "", size);
  if (answer_at_once(resolution, host)) {
    resolution->work.done = true;
  } else if (!braid_blocking_submit(&resolution->work, BRAID_BLOCKING_LOOKUP)) {
    resolution->error = EAI_AGAIN;
    resolution->work.done = true;
  }
  return resolution;
}
