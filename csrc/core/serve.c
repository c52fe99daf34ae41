/* SPDX-License-Identifier: MIT
 * libmicrohttpd, driven from outside.
 *
 * Ownership: an exchange belongs to the connection it arrived on, from the callback that announces its request line
 * (announce) to the one that tells its end (complete); libmicrohttpd calls both exactly once. In between its state
 * only goes forward. Exchanges that are over wait in the server's free list for the next request: their number has
 * changed by then.
 *
 * The quick way is to answer inside the dispatch. An exchange that is not answered there suspends its connection:
 * libmicrohttpd leaves it alone, and does not notice that a client goes away, until the answer resumes it and asks for
 * it once more. That costs two epoll_ctl and a recv, about half as much again as the whole exchange. */
#include "serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

enum {
  BACKLOG = 4096,
  MOST_CONNECTIONS = 1 << 20,
  INDEX_BITS = 24,         /* of an exchange's number: its slot; the rest counts how often it was used */
  KEPT_BODY = 64 << 10,    /* a body's memory that is kept for the next exchange */
  MOST_DRAINED = 16 << 20, /* how much of a body that is too large is read, so that the client sees the answer */
  ANSWER_HEADER = 4 << 10, /* bytes of an answer's headers */
  SLACK = 4 << 10          /* what libmicrohttpd itself needs of a connection's memory, beside both headers */
};

enum exchange_state {
  ANNOUNCED,   /* the request line is there */
  ARRIVING,    /* the headers are there, the body is on its way */
  OVERFLOWING, /* the body is larger than allowed; it is read and thrown away */
  DISPATCHED,  /* in the owner's hands, inside the dispatch */
  SUSPENDED,   /* in the owner's hands */
  ANSWERED,    /* the answer is ready and not yet with libmicrohttpd */
  SENDING      /* libmicrohttpd has the answer */
};

struct braid_exchange {
  struct braid_serve *serve;
  struct braid_exchange *next; /* in the free list */
  struct MHD_Connection *connection;
  struct MHD_Response *response; /* prepared or ready */
  const char *method;
  struct braid_buffer target, body;
  size_t drained;     /* bytes of a body that is too large */
  size_t header_size; /* of the answer */
  uint64_t uses;      /* odd while it is somebody's; in its number, so that an old number finds nothing */
  unsigned index, status;
  enum exchange_state state;
};

struct braid_serve {
  struct MHD_Daemon *daemon;
  int fd;
  bool draining;
  size_t max_body, max_header;
  struct braid_exchange **slots;
  unsigned slot_count, slot_room;
  struct braid_exchange *free;
  braid_serve_dispatch dispatch; /* while it runs */
  void *context;
  struct braid_serve_counts counts;
};

/* Exchanges: born, found, over. */

static struct braid_exchange *exchange_new(struct braid_serve *serve) {
  if (serve->slot_count == serve->slot_room) {
    unsigned room = serve->slot_room ? serve->slot_room * 2 : 64;
    if (room > 1u << INDEX_BITS) return NULL;
    struct braid_exchange **slots = realloc(serve->slots, room * sizeof *slots);
    if (!slots) return NULL;
    serve->slots = slots;
    serve->slot_room = room;
  }
  struct braid_exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange) return NULL;
  exchange->serve = serve;
  exchange->index = serve->slot_count;
  serve->slots[serve->slot_count++] = exchange;
  return exchange;
}

static struct braid_exchange *exchange_take(struct braid_serve *serve) {
  struct braid_exchange *exchange = serve->free;
  if (exchange)
    serve->free = exchange->next;
  else
    exchange = exchange_new(serve);
  if (!exchange) return NULL;
  exchange->uses++;
  exchange->state = ANNOUNCED;
  exchange->connection = NULL;
  exchange->drained = 0;
  exchange->target.size = 0;
  exchange->body.size = 0;
  serve->counts.exchanges++;
  return exchange;
}

static void discard_response(struct braid_exchange *exchange) {
  if (exchange->response) MHD_destroy_response(exchange->response);
  exchange->response = NULL;
}

static void exchange_give(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  discard_response(exchange);
  if (exchange->body.capacity > KEPT_BODY) braid_buffer_term(&exchange->body);
  exchange->state = SENDING;
  exchange->uses++;
  exchange->next = serve->free;
  serve->free = exchange;
  serve->counts.exchanges--;
}

static void exchange_free(struct braid_exchange *exchange) {
  braid_buffer_term(&exchange->target);
  braid_buffer_term(&exchange->body);
  free(exchange);
}

int64_t braid_exchange_number(const struct braid_exchange *exchange) {
  return (int64_t)(exchange->uses << INDEX_BITS | exchange->index);
}

struct braid_exchange *braid_serve_find(const struct braid_serve *serve, int64_t number) {
  unsigned index = (unsigned)number & ((1u << INDEX_BITS) - 1);
  if (index >= serve->slot_count) return NULL;
  struct braid_exchange *exchange = serve->slots[index];
  return (exchange->uses & 1) && braid_exchange_number(exchange) == number ? exchange : NULL;
}

/* What libmicrohttpd calls. None of these may be reached outside braid_serve_run, except complete and
 * count_connection, which closing calls too. */

static void *announce(void *cls, const char *uri, struct MHD_Connection *connection) {
  (void)connection;
  struct braid_exchange *exchange = exchange_take(cls);
  if (!exchange) return NULL;
  if (braid_buffer_append(&exchange->target, uri, strlen(uri))) return exchange;
  exchange_give(exchange);
  return NULL;
}

static void complete(void *cls, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode why) {
  (void)cls, (void)connection, (void)why;
  if (*slot) exchange_give(*slot);
  *slot = NULL;
}

static void count_connection(void *cls, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode what) {
  (void)connection, (void)slot;
  struct braid_serve_counts *counts = &((struct braid_serve *)cls)->counts;
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    counts->accepted++;
    counts->connections++;
  } else {
    counts->connections--;
  }
}

static enum MHD_Result queue_answer(struct braid_exchange *exchange) {
  exchange->state = SENDING;
  enum MHD_Result done = MHD_queue_response(exchange->connection, exchange->status, exchange->response);
  discard_response(exchange);
  return done;
}

/* An answer that the owner is not asked for. */
static enum MHD_Result refuse(struct braid_exchange *exchange, unsigned status, const char *json) {
  if (!braid_exchange_prepare(exchange, status, json, strlen(json)) ||
      !braid_exchange_add_header(exchange, "Content-Type", "application/json"))
    return MHD_NO;
  return queue_answer(exchange);
}

static enum MHD_Result refuse_header(struct braid_exchange *exchange) {
  return refuse(exchange, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "{\"error\":\"Request Header Fields Too Large\"}");
}

static enum MHD_Result refuse_body(struct braid_exchange *exchange) {
  return refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "{\"error\":\"Content Too Large\"}");
}

/* A client that waits for leave to send a body, or announces a huge one, is refused at once and its connection
 * closed; others are let finish, for a client that is still sending would not see the answer. */
static enum MHD_Result headers_arrived(struct braid_exchange *exchange, struct MHD_Connection *connection,
                                       const char *method) {
  exchange->connection = connection;
  exchange->method = method;
  exchange->state = ARRIVING;
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (info && info->header_size > exchange->serve->max_header) return refuse_header(exchange);
  const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (!text) return MHD_YES;
  unsigned long long announced = strtoull(text, NULL, 10);
  size_t limit = exchange->serve->max_body;
  if (announced <= limit) return MHD_YES;
  exchange->state = OVERFLOWING;
  bool asks = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL;
  return asks || announced > MOST_DRAINED ? refuse_body(exchange) : MHD_YES;
}

/* MHD_NO closes the connection. */
static enum MHD_Result body_arrives(struct braid_exchange *exchange, const char *data, size_t size) {
  if (exchange->state == ARRIVING) {
    if (size <= exchange->serve->max_body - exchange->body.size)
      return braid_buffer_append(&exchange->body, data, size) ? MHD_YES : MHD_NO;
    exchange->state = OVERFLOWING;
    braid_buffer_term(&exchange->body);
  }
  exchange->drained += size;
  return exchange->drained <= MOST_DRAINED ? MHD_YES : MHD_NO;
}

static enum MHD_Result arrived(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  exchange->state = DISPATCHED;
  serve->dispatch(exchange, serve->context);
  if (exchange->state == ANSWERED) return queue_answer(exchange);
  exchange->state = SUSPENDED;
  MHD_suspend_connection(exchange->connection);
  return MHD_YES;
}

/* libmicrohttpd asks what to do: when the headers are there, for each piece of the body, when all is there, and when
 * a suspended connection goes on. */
static enum MHD_Result access_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                      const char *version, const char *data, size_t *size, void **slot) {
  (void)cls, (void)url, (void)version;
  struct braid_exchange *exchange = *slot;
  if (!exchange) return MHD_NO;
  switch (exchange->state) {
    case ANNOUNCED: return headers_arrived(exchange, connection, method);
    case ANSWERED: return queue_answer(exchange);
    case ARRIVING:
    case OVERFLOWING:
      if (*size > 0) {
        size_t count = *size;
        *size = 0;
        return body_arrives(exchange, data, count);
      }
      return exchange->state == ARRIVING ? arrived(exchange) : refuse_body(exchange);
    default: return MHD_NO;
  }
}

/* Listening. */

static int listen_at(const struct addrinfo *address, int *listener) {
  int type = address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1;
  int fd = socket(address->ai_family, type, address->ai_protocol);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG)) {
    int error = errno;
    close(fd);
    return error;
  }
  *listener = fd;
  return 0;
}

static unsigned port_of(int listener) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char port[NI_MAXSERV];
  if (getsockname(listener, (struct sockaddr *)&address, &size) ||
      getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV))
    return 0;
  return (unsigned)strtoul(port, NULL, 10);
}

int braid_serve_listen(const char *host, unsigned *port, int *listener, const char **problem) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *addresses;
  char service[16];
  snprintf(service, sizeof service, "%u", *port);
  int failure = getaddrinfo(host, service, &hints, &addresses);
  if (failure) {
    *problem = gai_strerror(failure);
    return -1;
  }
  int error = listen_at(addresses, listener);
  for (struct addrinfo *next = addresses->ai_next; error && next; next = next->ai_next)
    error = listen_at(next, listener);
  freeaddrinfo(addresses);
  if (!error) *port = port_of(*listener);
  return error;
}

/* The server: opened, run, closed. */

/* How many files may be open from now on. */
static unsigned raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return 1024;
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (before != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = before;
  return limit.rlim_cur < MOST_CONNECTIONS ? (unsigned)limit.rlim_cur : MOST_CONNECTIONS;
}

static struct MHD_Daemon *start_daemon(struct braid_serve *serve, int listener,
                                       const struct braid_serve_options *options) {
  struct MHD_OptionItem items[] = {
      {MHD_OPTION_LISTEN_SOCKET, listener, NULL},
      {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)raise_open_files(), NULL},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)(options->max_header + ANSWER_HEADER + SLACK), NULL},
      {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->idle_timeout, NULL},
      {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
      {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)announce, serve},
      {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)complete, serve},
      {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)count_connection, serve},
      {MHD_OPTION_END, 0, NULL},
  };
  unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME;
  return MHD_start_daemon(flags, 0, NULL, NULL, access_request, serve, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

int braid_serve_open(struct braid_serve **opened, int listener, const struct braid_serve_options *options) {
  bool able = MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES;
  struct braid_serve *serve = able ? calloc(1, sizeof *serve) : NULL;
  if (!serve) {
    close(listener);
    return able ? ENOMEM : ENOTSUP;
  }
  serve->max_body = options->max_body;
  serve->max_header = options->max_header;
  errno = 0;
  serve->daemon = start_daemon(serve, listener, options);
  if (!serve->daemon) {
    int error = errno ? errno : ENOMEM;
    close(listener);
    free(serve);
    return error;
  }
  serve->fd = MHD_get_daemon_info(serve->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  *opened = serve;
  return 0;
}

void braid_serve_drain(struct braid_serve *serve) {
  if (serve->draining) return;
  serve->draining = true;
  MHD_socket listener = MHD_quiesce_daemon(serve->daemon);
  if (listener != MHD_INVALID_SOCKET) close(listener);
}

void braid_serve_close(struct braid_serve *serve) {
  for (unsigned i = 0; i < serve->slot_count; i++)
    if (serve->slots[i]->state == SUSPENDED) MHD_resume_connection(serve->slots[i]->connection);
  MHD_stop_daemon(serve->daemon);
  for (unsigned i = 0; i < serve->slot_count; i++) exchange_free(serve->slots[i]);
  free(serve->slots);
  free(serve);
}

int braid_serve_fd(const struct braid_serve *serve) { return serve->fd; }

int64_t braid_serve_timeout(struct braid_serve *serve) {
  MHD_UNSIGNED_LONG_LONG milliseconds;
  if (MHD_get_timeout(serve->daemon, &milliseconds) != MHD_YES) return -1;
  return milliseconds < INT64_MAX ? (int64_t)milliseconds : -1;
}

void braid_serve_run(struct braid_serve *serve, braid_serve_dispatch dispatch, void *context) {
  serve->dispatch = dispatch;
  serve->context = context;
  MHD_run(serve->daemon);
}

struct braid_serve_counts braid_serve_count(const struct braid_serve *serve) {
  return serve->counts;
}

/* Questions. */

const char *braid_exchange_method(const struct braid_exchange *exchange) { return exchange->method; }

const char *braid_exchange_target(const struct braid_exchange *exchange, size_t *size) {
  *size = exchange->target.size;
  return exchange->target.data;
}

const char *braid_exchange_body(const struct braid_exchange *exchange, size_t *size) {
  *size = exchange->body.size;
  return exchange->body.data;
}

struct collection {
  struct braid_field *fields;
  size_t count, room;
};

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t value_size) {
  (void)kind;
  struct collection *found = cls;
  if (found->count < found->room)
    found->fields[found->count] = (struct braid_field){name, value ? value : "", name_size, value ? value_size : 0};
  found->count++;
  return MHD_YES;
}

size_t braid_exchange_fields(const struct braid_exchange *exchange, struct braid_field *fields, size_t room) {
  struct collection found = {fields, 0, room};
  MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect, &found);
  return found.count;
}

bool braid_exchange_peer(const struct braid_exchange *exchange, char *text, size_t room) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (!info || !info->client_addr) return false;
  socklen_t size = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  return getnameinfo(info->client_addr, size, text, (socklen_t)room, NULL, 0, NI_NUMERICHOST) == 0;
}

/* Answers. */

bool braid_exchange_answered(const struct braid_exchange *exchange) { return exchange->state >= ANSWERED; }

bool braid_exchange_prepare(struct braid_exchange *exchange, unsigned status, const void *body, size_t size) {
  if (exchange->state >= ANSWERED) return false;
  discard_response(exchange);
  exchange->status = status;
  exchange->header_size = 0;
  /* MUST_COPY: libmicrohttpd only reads what it is not given for good. */
  exchange->response = MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
  return exchange->response != NULL;
}

bool braid_exchange_add_header(struct braid_exchange *exchange, const char *name, const char *value) {
  exchange->header_size += strlen(name) + strlen(value) + sizeof ": \r\n" - 1;
  return exchange->header_size <= ANSWER_HEADER && MHD_add_response_header(exchange->response, name, value) == MHD_YES;
}

bool braid_exchange_send(struct braid_exchange *exchange) {
  if (exchange->state >= ANSWERED || !exchange->response) return false;
  if (exchange->serve->draining) braid_exchange_add_header(exchange, "Connection", "close");
  bool suspended = exchange->state == SUSPENDED;
  exchange->state = ANSWERED;
  if (suspended) MHD_resume_connection(exchange->connection);
  return true;
}
