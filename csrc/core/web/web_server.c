/* SPDX-License-Identifier: MIT
 * Limits of time: the connections that wait for the same thing are in one list, and have the same limit. So the first
 * of the list is due first, and one alarm serves all lists. It may fire early, which costs a look. */
#include "core/web/web_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/virtual_clock.h"
#include "core/net/socket.h"
#include "core/web/http1.h"

enum {
  MOST_CONNECTIONS = 1 << 20,
  MOST_ACCEPTED = 64,   /* connections at once, before others have their turn */
  MORE_FOR_REFUSAL = 64 /* connections over the limit that are told so */
};

#define SHORTAGE_PAUSE (BRAID_SECOND / 10)

/* ---- limits of time ------------------------------------------------------------------------------------------- */

static struct braid_web_connection *first_of(const struct braid_list *list) {
  return braid_list_empty(list) ? NULL : braid_container(list->next, struct braid_web_connection, link);
}

int64_t braid_web_server_limit(const struct braid_web_server *server, enum braid_web_wait wait) {
  enum { LINGER = 10, PROBE = 1, LOOK_AT_BODIES = 1 };
  if (wait == BRAID_WEB_LINGER) return LINGER * BRAID_SECOND;
  if (wait == BRAID_WEB_HALF) return PROBE * BRAID_SECOND;
  if (server->options.idle_timeout == 0) return BRAID_NEVER;
  return wait == BRAID_WEB_BODY ? LOOK_AT_BODIES * BRAID_SECOND : server->options.idle_timeout;
}

void braid_web_server_alarm(struct braid_web_server *server, int64_t due) {
  if (due >= server->alarm_due) return;
  if (braid_alarm_start(server->loop, &server->alarm, due)) server->alarm_due = due;
}

static void look_at_connections(struct braid_web_server *server, int64_t now) {
  for (int wait = 0; wait < BRAID_WEB_WAITS; wait++) {
    int64_t limit = braid_web_server_limit(server, (enum braid_web_wait)wait);
    struct braid_web_connection *first;
    while (limit != BRAID_NEVER && (first = first_of(&server->waits[wait])) && first->since + limit <= now) {
      braid_list_remove(&first->link);
      first->since = now;
      if (wait == BRAID_WEB_BODY && now < first->due)
        braid_list_push(&server->waits[wait], &first->link);
      else
        first->protocol->expired(first);
    }
    if (limit != BRAID_NEVER && (first = first_of(&server->waits[wait])))
      braid_web_server_alarm(server, first->since + limit);
  }
}

static struct braid_exchange *first_unanswered(const struct braid_web_server *server) {
  const struct braid_list *list = &server->unanswered;
  return braid_list_empty(list) ? NULL : braid_container(list->next, struct braid_exchange, unanswered);
}

static void look_at_exchanges(struct braid_web_server *server, int64_t now) {
  struct braid_exchange *first;
  while ((first = first_unanswered(server)) && first->dispatched + server->options.request_timeout <= now) {
    braid_list_remove(&first->unanswered);
    first->late = true;
    braid_exchange_tell(first, BRAID_NEWS_LATE);
  }
  if (first) braid_web_server_alarm(server, first->dispatched + server->options.request_timeout);
}

static void free_ended(struct braid_web_server *server) {
  struct braid_list *link;
  while ((link = braid_list_pop(&server->ended)))
    braid_web_connection_free(braid_container(link, struct braid_web_connection, all));
}

static void listen_again(struct braid_web_server *server, int64_t now);

static void on_alarm(struct braid_alarm *alarm) {
  struct braid_web_server *server = braid_container(alarm, struct braid_web_server, alarm);
  int64_t now = braid_time_now();
  server->alarm_due = BRAID_NEVER;
  free_ended(server);
  look_at_connections(server, now);
  look_at_exchanges(server, now);
  listen_again(server, now);
}

/* ---- accepting ------------------------------------------------------------------------------------------------ */

static void on_listener(struct braid_watch *watch, int events);

static int watch_listeners(struct braid_web_server *server) {
  int error = 0;
  for (struct braid_web_listener *listener = server->listeners; listener && !error; listener = listener->next)
    error = braid_watch_start(server->loop, &listener->watch, listener->fd, BRAID_READ);
  return error;
}

static void ignore_listeners(struct braid_web_server *server) {
  for (struct braid_web_listener *listener = server->listeners; listener; listener = listener->next)
    braid_watch_stop(server->loop, &listener->watch);
}

/* Nothing is accepted for a while. */
static void pause_listeners(struct braid_web_server *server, int error) {
  server->paused = braid_time_now() + SHORTAGE_PAUSE;
  ignore_listeners(server);
  braid_web_server_alarm(server, server->paused);
  if (error == 0 || server->told_shortage) return;
  char text[256];
  braid_socket_explain(error, text, sizeof text);
  fprintf(stderr, "braid: a connection could not be accepted: %s\n", text);
  server->told_shortage = true;
}

static bool is_full(const struct braid_web_server *server) {
  return server->counts.connections + server->counts.upgraded >= server->hard_most;
}

static void listen_again(struct braid_web_server *server, int64_t now) {
  if (!server->paused) return;
  if (now < server->paused || is_full(server)) {
    server->paused = now < server->paused ? server->paused : now + SHORTAGE_PAUSE;
    braid_web_server_alarm(server, server->paused);
    return;
  }
  server->paused = 0;
  watch_listeners(server);
}

static int take_over(struct braid_web_server *server, int fd, const struct braid_address *peer) {
  struct braid_transport transport = {
      .class = &braid_transport_plain, .fd = fd, .read_wants = BRAID_READ, .write_wants = BRAID_WRITE};
  int error = server->security ? server->security->open(server->security, &transport) : 0;
  if (error) {
    close(fd);
    return error;
  }
  struct braid_web_connection *connection = braid_web_connection_new(server, &transport, peer);
  if (!connection) return ENOMEM;
  unsigned most = server->options.max_connections;
  server->counts.accepted++;
  connection->excess = most && server->counts.connections + server->counts.upgraded > most;
  connection->protocol = &braid_http1;
  braid_web_connection_wait(connection, BRAID_WEB_IDLE);
  return 0;
}

static void on_listener(struct braid_watch *watch, int events) {
  struct braid_web_listener *listener = braid_container(watch, struct braid_web_listener, watch);
  struct braid_web_server *server = listener->server;
  (void)events;
  for (int i = 0; i < MOST_ACCEPTED; i++) {
    if (is_full(server)) {
      pause_listeners(server, 0);
      return;
    }
    struct braid_address peer;
    int fd = braid_socket_accept(listener->fd, &peer);
    if (fd == -EAGAIN) return;
    if (fd < 0) {
      pause_listeners(server, -fd);
      return;
    }
    if (take_over(server, fd, &peer) == 0) server->told_shortage = false;
  }
}

int braid_web_server_adopt(struct braid_web_server *server, int fd) {
  struct braid_address peer = {.size = sizeof peer.bytes};
  if (getpeername(fd, (struct sockaddr *)&peer.bytes, &peer.size)) peer.size = 0;
  return take_over(server, fd, &peer);
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

int braid_web_server_open(struct braid_web_server **opened, struct braid_loop *loop,
                          const struct braid_web_options *options) {
  struct braid_web_server *server = calloc(1, sizeof *server);
  if (!server) return ENOMEM;
  unsigned files = raise_open_files(), most = options->max_connections;
  server->loop = loop;
  server->options = *options;
  server->alarm.fire = on_alarm;
  server->alarm_due = BRAID_NEVER;
  server->hard_most = most ? most + most / 4 + MORE_FOR_REFUSAL : files;
  braid_list_init(&server->connections);
  braid_list_init(&server->ended);
  braid_list_init(&server->unanswered);
  for (int i = 0; i < BRAID_WEB_WAITS; i++) braid_list_init(&server->waits[i]);
  braid_buffer_init(&server->scratch);
  braid_wait_queue_init(&server->quiet, NULL);
  *opened = server;
  return 0;
}

int braid_web_server_listen(struct braid_web_server *server, int fd) {
  struct braid_web_listener *listener = calloc(1, sizeof *listener);
  if (!listener) {
    close(fd);
    return ENOMEM;
  }
  listener->fd = fd;
  listener->server = server;
  listener->watch.fire = on_listener;
  struct braid_web_listener **last = &server->listeners;
  while (*last) last = &(*last)->next;
  *last = listener;
  return 0;
}

int braid_web_server_start(struct braid_web_server *server) { return watch_listeners(server); }

static void close_listeners(struct braid_web_server *server) {
  ignore_listeners(server);
  while (server->listeners) {
    struct braid_web_listener *listener = server->listeners;
    server->listeners = listener->next;
    close(listener->fd);
    free(listener);
  }
}

void braid_web_server_drain(struct braid_web_server *server) {
  if (server->draining) return;
  server->draining = true;
  close_listeners(server);
  struct braid_list *at, *next;
  for (at = server->connections.next; at != &server->connections; at = next) {
    next = at->next;
    struct braid_web_connection *connection = braid_container(at, struct braid_web_connection, all);
    connection->protocol->drain(connection);
  }
}

void braid_web_server_release(struct braid_web_server *server) { server->counts.upgraded--; }

bool braid_web_server_is_quiet(const struct braid_web_server *server, int64_t linger) {
  if (server->counts.exchanges > 0) return false;
  int64_t last = 0;
  for (int wait = 0; wait < BRAID_WEB_WAITS; wait++) {
    if (wait == BRAID_WEB_LINGER || braid_list_empty(&server->waits[wait])) continue;
    int64_t since = braid_container(server->waits[wait].prev, struct braid_web_connection, link)->since;
    if (since > last) last = since;
  }
  return linger == 0 || last == 0 || last + linger <= braid_time_now();
}

/* Frees the exchanges, whatever their owners do. */
static void free_exchanges(struct braid_web_server *server) {
  for (unsigned i = 0; i < server->slot_count; i++) {
    struct braid_exchange *exchange = server->slots[i];
    braid_exchange_wake_all(exchange);
    if (exchange->joined && braid_waiter_claim(&exchange->waiter, BRAID_CLOSED))
      braid_wait_node_leave(&exchange->waiter.node);
    braid_buffer_term(&exchange->path);
    braid_buffer_term(&exchange->body);
    free(exchange);
  }
  free(server->slots);
}

static bool is_ours(const struct braid_waiter *waiter, void *context) {
  if (waiter->kind != BRAID_WAITER_REQUEST) return false;
  return braid_container(waiter, const struct braid_exchange, waiter)->server == context;
}

void braid_web_server_close(struct braid_web_server *server) {
  struct braid_list *link;
  braid_web_server_drain(server);
  while ((link = server->connections.next) != &server->connections)
    braid_web_connection_end(braid_container(link, struct braid_web_connection, all), false);
  free_ended(server);
  braid_exchange_wake(&server->quiet);
  braid_loop_withdraw(server->loop, is_ours, server);
  free_exchanges(server);
  while (server->blocks) {
    char *block = server->blocks;
    memcpy(&server->blocks, block, sizeof server->blocks);
    free(block);
  }
  braid_alarm_stop(server->loop, &server->alarm);
  braid_buffer_term(&server->scratch);
  free(server);
}
