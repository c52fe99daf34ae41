/* SPDX-License-Identifier: MIT */
#include "core/net/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct braid_object *object) {
  struct braid_names *names = braid_container(object, struct braid_names, work.object);
  braid_blocking_term(&names->work);
  braid_buffer_term(&names->answer);
  free(names->host);
  free(names->service);
  free(names);
}

const struct braid_class braid_names_class = {"braid.names", destroy};

static void add(struct braid_names *names, const char *text) {
  if (!braid_buffer_append(&names->answer, text, strlen(text) + 1)) names->error = EAI_MEMORY;
}

static int find(struct braid_names *names, int flags, struct addrinfo **found) {
  struct addrinfo hints = {.ai_family = names->family, .ai_socktype = names->type, .ai_flags = flags};
  int error = getaddrinfo(names->host, names->service, &hints, found);
  names->number = errno;
  return error;
}

static void add_address(struct braid_names *names, const struct addrinfo *one) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
    return;
  add(names, one->ai_family == AF_INET6 ? "inet6" : "inet");
  add(names, host);
  add(names, port);
}

static void ask_addresses(struct braid_names *names) {
  struct addrinfo *found = NULL;
  names->error = find(names, names->passive ? AI_PASSIVE : names->host ? AI_CANONNAME : 0, &found);
  for (const struct addrinfo *one = found; one; one = one->ai_next)
    if (one->ai_family == AF_INET || one->ai_family == AF_INET6) add_address(names, one);
  if (found) add(names, found->ai_canonname ? found->ai_canonname : "");
  if (found) freeaddrinfo(found);
}

static void ask_names(struct braid_names *names) {
  char host[NI_MAXHOST], service[NI_MAXSERV];
  struct addrinfo *found = NULL;
  names->error = find(names, 0, &found);
  for (const struct addrinfo *one = found; one && !names->error; one = one->ai_next) {
    int error = getnameinfo(one->ai_addr, one->ai_addrlen, host, names->host ? sizeof host : 0, service,
                            names->service ? sizeof service : 0, 0);
    if (error) continue;
    add(names, names->host ? host : "");
    add(names, names->service ? service : "");
  }
  if (found) freeaddrinfo(found);
}

static void add_marked(struct braid_names *names, char mark, const char *text) {
  if (!braid_buffer_append(&names->answer, &mark, 1)) names->error = NO_RECOVERY;
  add(names, text);
}

static void add_host(struct braid_names *names, const struct hostent *host) {
  char text[INET6_ADDRSTRLEN];
  add_marked(names, 'n', host->h_name);
  for (char **at = host->h_aliases; at && *at; at++) add_marked(names, 'a', *at);
  for (char **at = host->h_addr_list; at && *at; at++)
    if (inet_ntop(host->h_addrtype, *at, text, sizeof text)) add_marked(names, 'i', text);
}

static void ask_host(struct braid_names *names) {
  struct hostent host, *found = NULL;
  struct in_addr address;
  struct braid_buffer room;
  int result = ERANGE;
  braid_buffer_init(&room);
  for (size_t size = 1024; result == ERANGE && size < (1 << 20) && braid_buffer_reserve(&room, size); size *= 2)
    result = inet_aton(names->host, &address)
                 ? gethostbyaddr_r(&address, sizeof address, AF_INET, &host, room.data, size, &found, &names->error)
                 : gethostbyname_r(names->host, &host, room.data, size, &found, &names->error);
  if (found) {
    names->error = 0;
    add_host(names, found);
  } else if (!names->error) {
    names->error = HOST_NOT_FOUND;
  }
  braid_buffer_term(&room);
}

static void run(struct braid_blocking *work) {
  struct braid_names *names = braid_container(work, struct braid_names, work);
  switch (names->kind) {
    case BRAID_NAMES_ADDRESSES: ask_addresses(names); break;
    case BRAID_NAMES_NAMES: ask_names(names); break;
    case BRAID_NAMES_HOST: ask_host(names); break;
  }
}

struct braid_names *braid_names_new(enum braid_names_kind kind, const char *host, const char *service) {
  struct braid_names *names = calloc(1, sizeof *names);
  if (!names) return NULL;
  braid_blocking_init(&names->work, &braid_names_class, run);
  names->kind = kind;
  if (host) names->host = strdup(host);
  if (service) names->service = strdup(service);
  if ((!host || names->host) && (!service || names->service)) return names;
  braid_object_unref(&names->work.object);
  return NULL;
}

/* Whether getaddrinfo answers without asking anybody. */
static bool is_numeric(const struct braid_names *names) {
  struct in6_addr address;
  bool host = !names->host || inet_pton(AF_INET, names->host, &address) || inet_pton(AF_INET6, names->host, &address);
  return host && (!names->service || names->service[strspn(names->service, "0123456789")] == '\0');
}

void braid_names_start(struct braid_names *names) {
  if (names->kind == BRAID_NAMES_ADDRESSES && is_numeric(names)) {
    run(&names->work);
    names->work.done = true;
  } else if (!braid_blocking_submit(&names->work, BRAID_BLOCKING_LOOKUP)) {
    names->error = names->kind == BRAID_NAMES_HOST ? TRY_AGAIN : EAI_AGAIN;
    names->work.done = true;
  }
}
