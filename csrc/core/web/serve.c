/* SPDX-License-Identifier: MIT
 * Runs libmicrohttpd without its own threads.
 *
 * Ownership: an exchange belongs to its connection, from the callback for the request line (announce) to the callback
 * for its end (complete). libmicrohttpd calls each exactly once. Between them the state only moves forward. An exchange
 * that is over joins the server's free list for later requests; then its number changes.
 *
 * Fast path: the owner responds in `dispatch`. Otherwise the connection is suspended; the response resumes it, and
 * libmicrohttpd asks for the exchange again. This needs two epoll_ctl and a recv, about half of the cost of the whole
 * exchange.
 *
 * Time limits: the headers of a request must come within idle_timeout, even if bytes come all the time. A body must
 * come at LEAST_RATE. libmicrohttpd's own timeout, without any traffic, covers clients that do not read their
 * response. */
#include "core/web/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/web/exchange.h"
#include "core/web/header_check.h"

#define MILLISECOND INT64_C(1000000)
#define LOOK_AFTER (50 * MILLISECOND) /* how long an exchange is suspended before its client is watched */
#define LOOK_AT_BODIES BRAID_SECOND

enum {
  MOST_CONNECTIONS = 1 << 20,
  KEPT_BODY = 64 << 10,    /* bytes of a body buffer that is kept for the next exchange */
  BODY_ROOM = 64 << 10,    /* bytes of a streamed body that may wait for the owner */
  LEAST_RATE = 500,        /* bytes of a body each second */
  MOST_DRAINED = 16 << 20, /* bytes of a too large body that are read, so that the client can see the response */
  HEADERS = 4 << 10,       /* of a response */
  SLACK = 4 << 10,         /* of a connection's memory for libmicrohttpd itself, in addition to both headers */
  EVENTS = 64
};

/* ---- life of exchanges ---------------------------------------------------------------------------------------- */

static struct braid_exchange *exchange_new(struct braid_serve *serve) {
  if (serve->slot_count == serve->slot_room) {
    unsigned room = serve->slot_room ? serve->slot_room * 2 : 64;
    if (room > 1u << 24) return NULL;
    struct braid_exchange **slots = realloc(serve->slots, room * sizeof *slots);
    if (!slots) return NULL;
    serve->slots = slots;
    serve->slot_room = room;
  }
  struct braid_exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange) return NULL;
  exchange->serve = serve;
  exchange->index = serve->slot_count;
  braid_list_init(&exchange->quiet);
  braid_list_init(&exchange->unanswered);
  braid_list_init(&exchange->told);
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
  exchange->state = BRAID_EXCHANGE_ANNOUNCED;
  exchange->connection = NULL;
  exchange->client = NULL;
  exchange->arrived = exchange->out_taken = 0;
  exchange->target.size = exchange->body.size = exchange->out.size = 0;
  exchange->news = 0;
  exchange->takes_stream = exchange->body_ended = false;
  exchange->gives_stream = exchange->out_ended = exchange->out_failed = exchange->wants_room = false;
  exchange->max_body = serve->options.max_body;
  serve->counts.exchanges++;
  return exchange;
}

static void exchange_give(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  if (exchange->body.capacity > KEPT_BODY) braid_buffer_term(&exchange->body);
  braid_buffer_term(&exchange->out);
  exchange->uses++;
  exchange->next = serve->free;
  serve->free = exchange;
}

/* The connection no longer uses the exchange. */
static void exchange_over(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  if (exchange->watched) epoll_ctl(serve->departures, EPOLL_CTL_DEL, exchange->client->fd, NULL);
  exchange->watched = exchange->parked = false;
  braid_list_remove(&exchange->quiet);
  braid_list_remove(&exchange->unanswered);
  braid_exchange_discard(exchange);
  exchange->state = BRAID_EXCHANGE_OVER;
  exchange->connection = NULL;
  serve->counts.exchanges--;
  if (exchange->owned)
    braid_exchange_tell(exchange, BRAID_NEWS_GONE);
  else if (braid_list_empty(&exchange->told))
    exchange_give(exchange);
}

bool braid_serve_next_news(struct braid_serve *serve, int64_t *number, unsigned *news) {
  struct braid_list *link = braid_list_pop(&serve->told);
  if (!link) return false;
  struct braid_exchange *exchange = braid_container(link, struct braid_exchange, told);
  *number = braid_exchange_number(exchange);
  *news = exchange->news;
  exchange->news = 0;
  if (exchange->state == BRAID_EXCHANGE_OVER) {
    exchange->owned = false;
    exchange_give(exchange);
  }
  return true;
}

/* ---- callbacks of libmicrohttpd ------------------------------------------------------------------------------- */

/* They are called only in braid_serve_run; closing the server also calls complete and count_connection. */

static void wait_in(struct braid_http_connection *client, struct braid_list *list) {
  braid_list_remove(&client->link);
  if (!list) return;
  client->since = braid_clock_now();
  braid_list_push(list, &client->link);
}

/* Each piece of a body adds time, at LEAST_RATE, up to idle_timeout from now. */
static void wait_for_body(struct braid_serve *serve, struct braid_http_connection *client, size_t arrived) {
  bool waits = !braid_list_empty(&client->link);
  if (!waits) wait_in(client, &serve->receiving);
  int64_t most = braid_clock_now() + serve->options.idle_timeout;
  if (arrived < KEPT_BODY) client->due += (int64_t)arrived * (BRAID_SECOND / LEAST_RATE);
  if (!waits || arrived >= KEPT_BODY || client->due > most) client->due = most;
}

static void *announce(void *cls, const char *uri, struct MHD_Connection *connection) {
  (void)connection;
  struct braid_exchange *exchange = exchange_take(cls);
  if (!exchange) return NULL;
  if (braid_buffer_append(&exchange->target, uri, strlen(uri))) return exchange;
  exchange_over(exchange);
  return NULL;
}

static void complete(void *cls, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode why) {
  (void)connection, (void)why;
  struct braid_exchange *exchange = *slot;
  *slot = NULL;
  if (!exchange) return;
  struct braid_serve *serve = cls;
  if (exchange->client) wait_in(exchange->client, &serve->idle);
  exchange_over(exchange);
}

static void begin_connection(struct braid_serve *serve, struct MHD_Connection *connection, void **slot) {
  serve->counts.accepted++;
  serve->counts.connections++;
  struct braid_http_connection *client = calloc(1, sizeof *client);
  *slot = client;
  if (!client) return; /* all its requests are refused */
  client->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  client->excess = serve->options.max_connections && serve->counts.connections > serve->options.max_connections;
  braid_list_init(&client->link);
  wait_in(client, &serve->idle);
}

static void count_connection(void *cls, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode what) {
  struct braid_serve *serve = cls;
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    begin_connection(serve, connection, slot);
    return;
  }
  struct braid_http_connection *client = *slot;
  serve->counts.connections--;
  if (!client) return;
  braid_list_remove(&client->link);
  free(client);
  *slot = NULL;
}

/* A response without the owner. */
static enum MHD_Result refuse(struct braid_exchange *exchange, unsigned status, const char *reason, bool closes) {
  char json[64] = "{\"error\":\"";
  strcat(strcat(json, reason), "\"}");
  if (!braid_exchange_prepare(exchange, status, json, strlen(json)) ||
      !braid_exchange_add_header(exchange, "Content-Type", "application/json") ||
      (closes && !braid_exchange_add_header(exchange, "Connection", "close")) ||
      (status == MHD_HTTP_SERVICE_UNAVAILABLE && !braid_exchange_add_header(exchange, "Retry-After", "1")))
    return MHD_NO;
  return braid_exchange_queue(exchange);
}

static enum MHD_Result refuse_body(struct braid_exchange *exchange, bool closes) {
  return refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large", closes);
}

/* Gives the exchange to the owner. MHD_YES when the owner has not responded yet. */
static enum MHD_Result dispatch(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  exchange->state = BRAID_EXCHANGE_DISPATCHED;
  exchange->owned = true;
  if (serve->options.request_timeout) {
    exchange->dispatched = braid_clock_now();
    braid_list_push(&serve->unanswered, &exchange->unanswered);
  }
  serve->owner->dispatch(exchange, serve->owner->context);
  return exchange->state == BRAID_EXCHANGE_ANSWERED ? braid_exchange_queue(exchange) : MHD_YES;
}

/* A body is announced. If it is too large, a client that waits for permission ("Expect"), or announces a huge body, is
 * refused at once and its connection closed. Other clients may finish sending, because a client that sends would not
 * see the response. */
static enum MHD_Result expect_body(struct braid_exchange *exchange, uint64_t announced) {
  struct braid_serve *serve = exchange->serve;
  if (serve->owner->admit) serve->owner->admit(exchange, serve->owner->context);
  wait_for_body(serve, exchange->client, 0);
  if (announced > exchange->max_body) {
    exchange->state = BRAID_EXCHANGE_OVERFLOWING;
    bool asks = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL;
    return asks || announced > MOST_DRAINED ? refuse_body(exchange, true) : MHD_YES;
  }
  return exchange->takes_stream ? dispatch(exchange) : MHD_YES;
}

static enum MHD_Result headers_arrived(struct braid_exchange *exchange, struct MHD_Connection *connection,
                                       const char *method, const char *version) {
  struct braid_serve *serve = exchange->serve;
  exchange->connection = connection;
  exchange->method = method;
  exchange->state = BRAID_EXCHANGE_ARRIVING;
  exchange->client = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
  if (!exchange->client) return MHD_NO;
  wait_in(exchange->client, NULL);
  if (exchange->client->excess) return refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable", true);
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (info && info->header_size > serve->options.max_header)
    return refuse(exchange, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large", true);
  bool has_body;
  uint64_t length;
  if (!braid_header_check_target(exchange->target.data, exchange->target.size))
    return refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request", true);
  switch (braid_header_check(connection, method, version, &has_body, &length)) {
    case BRAID_HEADER_CHECK_BAD: return refuse(exchange, MHD_HTTP_BAD_REQUEST, "Bad Request", true);
    case BRAID_HEADER_CHECK_UNKNOWN_CODING: return refuse(exchange, MHD_HTTP_NOT_IMPLEMENTED, "Not Implemented", true);
    case BRAID_HEADER_CHECK_FINE: break;
  }
  return has_body ? expect_body(exchange, length) : MHD_YES;
}

/* MHD_NO closes the connection. */
static enum MHD_Result body_arrives(struct braid_exchange *exchange, const char *data, size_t size) {
  exchange->arrived += size;
  wait_for_body(exchange->serve, exchange->client, size);
  if (exchange->state == BRAID_EXCHANGE_ARRIVING) {
    if (exchange->arrived <= exchange->max_body)
      return braid_buffer_append(&exchange->body, data, size) ? MHD_YES : MHD_NO;
    exchange->state = BRAID_EXCHANGE_OVERFLOWING;
    braid_buffer_term(&exchange->body);
  }
  return exchange->arrived <= exchange->max_body + MOST_DRAINED ? MHD_YES : MHD_NO;
}

static enum MHD_Result body_ended(struct braid_exchange *exchange) {
  wait_in(exchange->client, NULL);
  if (exchange->state == BRAID_EXCHANGE_OVERFLOWING) return refuse_body(exchange, false);
  exchange->body_ended = true;
  enum MHD_Result result = dispatch(exchange);
  if (exchange->state == BRAID_EXCHANGE_DISPATCHED) braid_exchange_park(exchange);
  return result;
}

/* A piece of a body whose owner takes it in pieces. It waits in `body` until the owner takes it. When there is a
 * response already, the piece is dropped. libmicrohttpd sends a response only after the whole body. */
static enum MHD_Result stream_arrives(struct braid_exchange *exchange, const char *data, size_t *size) {
  bool answered = braid_exchange_answered(exchange);
  if (*size == 0) {
    wait_in(exchange->client, NULL);
    exchange->body_ended = true;
    if (answered) return braid_exchange_queue(exchange);
    braid_exchange_tell(exchange, BRAID_NEWS_BODY);
    braid_exchange_park(exchange);
    return MHD_YES;
  }
  if (!answered && exchange->body.size > 0 && exchange->body.size + *size > BODY_ROOM) {
    wait_in(exchange->client, NULL); /* the client does not have to send now */
    braid_exchange_park(exchange);
    return MHD_YES;
  }
  size_t count = *size;
  *size = 0;
  exchange->arrived += count;
  wait_for_body(exchange->serve, exchange->client, count);
  braid_exchange_tell(exchange, BRAID_NEWS_BODY);
  if (exchange->arrived > exchange->max_body || answered)
    return exchange->arrived <= exchange->max_body + MOST_DRAINED ? MHD_YES : MHD_NO;
  return braid_buffer_append(&exchange->body, data, count) ? MHD_YES : MHD_NO;
}

/* The main callback: the headers have come, a piece of the body has come, the whole body has come, or a suspended
 * connection was resumed. */
static enum MHD_Result access_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                      const char *version, const char *data, size_t *size, void **slot) {
  (void)cls, (void)url;
  struct braid_exchange *exchange = *slot;
  if (!exchange) return MHD_NO;
  switch (exchange->state) {
    case BRAID_EXCHANGE_ANNOUNCED: return headers_arrived(exchange, connection, method, version);
    case BRAID_EXCHANGE_ARRIVING:
    case BRAID_EXCHANGE_OVERFLOWING:
      if (*size > 0) {
        size_t count = *size;
        *size = 0;
        return body_arrives(exchange, data, count);
      }
      return body_ended(exchange);
    case BRAID_EXCHANGE_DISPATCHED: return exchange->body_ended ? MHD_NO : stream_arrives(exchange, data, size);
    case BRAID_EXCHANGE_ANSWERED:
      if (exchange->takes_stream && !exchange->body_ended) return stream_arrives(exchange, data, size);
      return braid_exchange_queue(exchange);
    default: return MHD_NO;
  }
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

/* Raises the limit of open files to the maximum, and returns it. */
static unsigned raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return 1024;
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (before != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = before;
  return limit.rlim_cur < MOST_CONNECTIONS ? (unsigned)limit.rlim_cur : MOST_CONNECTIONS;
}

static struct MHD_Daemon *start_daemon(struct braid_serve *serve, int listener) {
  const struct braid_serve_options *options = &serve->options;
  unsigned files = raise_open_files(), most = options->max_connections;
  if (most) most += most / 4 + 64; /* for connections that get a 503 */
  int64_t idle = (options->idle_timeout + BRAID_SECOND - 1) / BRAID_SECOND;
  struct MHD_OptionItem items[] = {
      {MHD_OPTION_LISTEN_SOCKET, listener, NULL},
      {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(most && most < files ? most : files), NULL},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)(options->max_header + HEADERS + SLACK), NULL},
      {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)idle, NULL},
      {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
      {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)announce, serve},
      {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)complete, serve},
      {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)count_connection, serve},
      {options->key ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, (void *)(uintptr_t)options->key},
      {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
      {MHD_OPTION_END, 0, NULL},
  };
  unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | (options->key ? MHD_USE_TLS : 0);
  return MHD_start_daemon(flags, 0, NULL, NULL, access_request, serve, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

static struct braid_serve *serve_new(const struct braid_serve_options *options) {
  struct braid_serve *serve = calloc(1, sizeof *serve);
  if (!serve) return NULL;
  serve->options = *options;
  serve->encrypted = options->key != NULL;
  struct braid_list *lists[] = {&serve->fresh, &serve->watched, &serve->unanswered,
                                &serve->told,  &serve->idle,    &serve->receiving};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) braid_list_init(lists[i]);
  serve->departures = epoll_create1(EPOLL_CLOEXEC);
  if (serve->departures >= 0) return serve;
  free(serve);
  return NULL;
}

int braid_serve_open(struct braid_serve **opened, int listener, const struct braid_serve_options *options) {
  bool able = MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES &&
              (!options->key || MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES);
  struct braid_serve *serve = able ? serve_new(options) : NULL;
  if (!serve) {
    close(listener);
    return able ? ENOMEM : ENOTSUP;
  }
  errno = 0;
  serve->daemon = start_daemon(serve, listener);
  if (!serve->daemon) {
    int error = options->key ? EINVAL : errno ? errno : ENOMEM;
    close(listener);
    close(serve->departures);
    free(serve);
    return error;
  }
  serve->fd = MHD_get_daemon_info(serve->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  serve->options.key = serve->options.certificate = NULL; /* libmicrohttpd has copied them */
  *opened = serve;
  return 0;
}

void braid_serve_drain(struct braid_serve *serve) {
  if (serve->draining) return;
  serve->draining = true;
  MHD_socket listener = MHD_quiesce_daemon(serve->daemon);
  if (listener != MHD_INVALID_SOCKET) close(listener);
}

bool braid_serve_is_quiet(const struct braid_serve *serve, int64_t linger) {
  if (serve->counts.exchanges > 0 || !braid_list_empty(&serve->receiving)) return false;
  if (braid_list_empty(&serve->idle)) return true;
  const struct braid_http_connection *last = braid_container(serve->idle.prev, struct braid_http_connection, link);
  return linger == 0 || last->since + linger <= braid_clock_now();
}

void braid_serve_close(struct braid_serve *serve) {
  for (unsigned i = 0; i < serve->slot_count; i++) braid_exchange_unpark(serve->slots[i]);
  MHD_stop_daemon(serve->daemon);
  for (unsigned i = 0; i < serve->slot_count; i++) {
    struct braid_exchange *exchange = serve->slots[i];
    braid_buffer_term(&exchange->target);
    braid_buffer_term(&exchange->body);
    braid_buffer_term(&exchange->out);
    free(exchange);
  }
  free(serve->slots);
  close(serve->departures);
  free(serve);
}

/* ---- time limits, and clients that leave ---------------------------------------------------------------------- */

static struct braid_exchange *first_quiet(const struct braid_serve *serve) {
  return braid_container(serve->fresh.next, struct braid_exchange, quiet);
}

/* When the first entry of any list is due. */
static int64_t next_due(const struct braid_serve *serve) {
  int64_t due = BRAID_NEVER, at;
  if (!braid_list_empty(&serve->fresh) && (at = first_quiet(serve)->suspended + LOOK_AFTER) < due) due = at;
  if (!braid_list_empty(&serve->unanswered)) {
    const struct braid_exchange *first = braid_container(serve->unanswered.next, struct braid_exchange, unanswered);
    if ((at = first->dispatched + serve->options.request_timeout) < due) due = at;
  }
  if (!serve->options.idle_timeout) return due;
  if (!braid_list_empty(&serve->idle)) {
    const struct braid_http_connection *first = braid_container(serve->idle.next, struct braid_http_connection, link);
    if ((at = first->since + serve->options.idle_timeout) < due) due = at;
  }
  if (!braid_list_empty(&serve->receiving)) {
    const struct braid_http_connection *first =
        braid_container(serve->receiving.next, struct braid_http_connection, link);
    if ((at = first->since + LOOK_AT_BODIES) < due) due = at;
  }
  return due;
}

static void watch(struct braid_exchange *exchange) {
  struct braid_serve *serve = exchange->serve;
  struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = exchange};
  braid_list_remove(&exchange->quiet);
  braid_list_push(&serve->watched, &exchange->quiet);
  exchange->watched = epoll_ctl(serve->departures, EPOLL_CTL_ADD, exchange->client->fd, &event) == 0;
}

/* libmicrohttpd then reads the end of the stream, and closes the connection. */
static void hang_up(struct braid_http_connection *client) {
  braid_list_remove(&client->link);
  shutdown(client->fd, SHUT_RDWR);
}

static void look_at_bodies(struct braid_serve *serve, int64_t now) {
  struct braid_list seen, *link;
  braid_list_init(&seen);
  while ((link = serve->receiving.next) != &serve->receiving) {
    struct braid_http_connection *client = braid_container(link, struct braid_http_connection, link);
    if (now < client->since + LOOK_AT_BODIES) break;
    if (now >= client->due) {
      hang_up(client);
    } else {
      client->since = now;
      braid_list_remove(link);
      braid_list_push(&seen, link);
    }
  }
  braid_list_move(&seen, &serve->receiving);
}

static void look_at_clock(struct braid_serve *serve) {
  int64_t now = braid_clock_now();
  while (!braid_list_empty(&serve->fresh) && first_quiet(serve)->suspended + LOOK_AFTER <= now)
    watch(first_quiet(serve));
  while (!braid_list_empty(&serve->unanswered)) {
    struct braid_exchange *first = braid_container(serve->unanswered.next, struct braid_exchange, unanswered);
    if (first->dispatched + serve->options.request_timeout > now) break;
    braid_list_remove(&first->unanswered);
    braid_exchange_tell(first, BRAID_NEWS_LATE);
  }
  if (!serve->options.idle_timeout) return;
  while (!braid_list_empty(&serve->idle)) {
    struct braid_http_connection *first = braid_container(serve->idle.next, struct braid_http_connection, link);
    if (first->since + serve->options.idle_timeout > now) break;
    hang_up(first);
  }
  look_at_bodies(serve, now);
}

/* Whether the client has left. If bytes are there, such as a next request, it may still be there. With TLS a closing
 * client always sends a last record, and clients do not close only one direction. */
static bool has_left(const struct braid_exchange *exchange, uint32_t events) {
  char byte;
  if (exchange->serve->encrypted || events & (EPOLLHUP | EPOLLERR)) return true;
  return recv(exchange->client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void braid_serve_look(struct braid_serve *serve) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(serve->departures, events, EVENTS, 0);
  for (int i = 0; i < count; i++) {
    struct braid_exchange *exchange = events[i].data.ptr;
    if (has_left(exchange, events[i].events)) braid_exchange_tell(exchange, BRAID_NEWS_GONE);
  }
}

/* ---- run ------------------------------------------------------------------------------------------------------ */

int braid_serve_fd(const struct braid_serve *serve) { return serve->fd; }

int braid_serve_departures_fd(const struct braid_serve *serve) { return serve->departures; }

int64_t braid_serve_timeout(struct braid_serve *serve) {
  MHD_UNSIGNED_LONG_LONG milliseconds;
  int64_t theirs = -1, due = next_due(serve);
  if (MHD_get_timeout(serve->daemon, &milliseconds) == MHD_YES && milliseconds < INT64_MAX)
    theirs = (int64_t)milliseconds;
  if (due == BRAID_NEVER || theirs == 0) return theirs;
  int64_t left = due - braid_clock_now();
  int64_t ours = left > 0 ? (left + MILLISECOND - 1) / MILLISECOND : 0;
  return theirs >= 0 && theirs < ours ? theirs : ours;
}

void braid_serve_run(struct braid_serve *serve, const struct braid_serve_owner *owner) {
  serve->owner = owner;
  look_at_clock(serve);
  MHD_run(serve->daemon);
  serve->owner = NULL;
}

struct braid_serve_counts braid_serve_count(const struct braid_serve *serve) {
  return serve->counts;
}
