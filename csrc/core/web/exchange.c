/* SPDX-License-Identifier: MIT
 * An exchange is given back to the server's free list when its connection is done with it (`connection` is NULL), its
 * owner is (`held` is false), and its waiter is in no list. */
#include "core/web/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/virtual_clock.h"
#include "core/web/answer.h"
#include "core/web/target.h"
#include "core/web/web_server.h"

enum {
  INDEX_BITS = 24, /* of an exchange's number: its slot; the other bits count its uses */
  KEPT = 16 << 10, /* bytes of a buffer that is kept for the next exchange */
  LARGE = 1 << 20  /* bytes of a form; larger ones are streamed */
};

/* ---- life ----------------------------------------------------------------------------------------------------- */

static struct braid_exchange *make(struct braid_web_server *server) {
  if (server->slot_count == server->slot_room) {
    unsigned room = server->slot_room ? server->slot_room * 2 : 64;
    if (room > 1u << INDEX_BITS) return NULL;
    struct braid_exchange **slots = realloc(server->slots, room * sizeof *slots);
    if (!slots) return NULL;
    server->slots = slots;
    server->slot_room = room;
  }
  struct braid_exchange *exchange = calloc(1, sizeof *exchange);
  if (!exchange) return NULL;
  exchange->server = server;
  exchange->index = server->slot_count;
  exchange->number = exchange->index;
  braid_waiter_init(&exchange->waiter, server->loop, BRAID_WAITER_REQUEST);
  braid_wait_queue_init(&exchange->readers, NULL);
  braid_wait_queue_init(&exchange->writers, NULL);
  braid_list_init(&exchange->unanswered);
  server->slots[server->slot_count++] = exchange;
  return exchange;
}

struct braid_exchange *braid_exchange_new(struct braid_web_connection *connection) {
  struct braid_web_server *server = connection->server;
  struct braid_exchange *exchange = server->free;
  if (exchange)
    server->free = exchange->next;
  else
    exchange = make(server);
  if (!exchange) return NULL;
  exchange->number += UINT64_C(1) << INDEX_BITS;
  exchange->connection = connection;
  exchange->owner = exchange->stream = NULL;
  exchange->path.size = exchange->body.size = 0;
  exchange->arrived = 0;
  exchange->max_body = server->options.max_body;
  exchange->news = exchange->refusal = exchange->status = 0;
  exchange->escaped = exchange->streamed = exchange->body_ended = exchange->asks_leave = false;
  exchange->large_form = false;
  exchange->answered = exchange->gives_stream = exchange->stream_ended = exchange->failed = false;
  exchange->left = exchange->late = false;
  server->counts.exchanges++;
  return exchange;
}

static void trim(struct braid_buffer *buffer) {
  if (buffer->capacity > KEPT) braid_buffer_term(buffer);
}

static void give_back(struct braid_exchange *exchange) {
  struct braid_web_server *server = exchange->server;
  if (exchange->connection || exchange->held || exchange->queued || exchange->joined) return;
  trim(&exchange->path);
  trim(&exchange->body);
  exchange->number += UINT64_C(1) << INDEX_BITS; /* the numbers of free exchanges are even multiples */
  exchange->next = server->free;
  server->free = exchange;
}

struct braid_exchange *braid_web_server_find(const struct braid_web_server *server, uint64_t number) {
  uint64_t index = number & ((UINT64_C(1) << INDEX_BITS) - 1);
  if (index >= server->slot_count || server->slots[index]->number != number) return NULL;
  return server->slots[index];
}

static void wake_quiet(struct braid_web_server *server) {
  if (server->draining && server->counts.exchanges == 0) braid_exchange_wake(&server->quiet);
}

void braid_exchange_over(struct braid_exchange *exchange, bool gone) {
  struct braid_web_server *server = exchange->server;
  exchange->connection = NULL;
  exchange->left = gone;
  server->counts.exchanges--;
  braid_list_remove(&exchange->unanswered);
  if (gone && exchange->held) {
    braid_exchange_tell(exchange, BRAID_NEWS_GONE);
  } else {
    braid_exchange_wake_all(exchange);
    give_back(exchange);
  }
  wake_quiet(server);
}

void braid_exchange_leave(struct braid_exchange *exchange) {
  exchange->held = false;
  exchange->owner = NULL;
  give_back(exchange);
}

/* ---- news ----------------------------------------------------------------------------------------------------- */

void braid_exchange_wake(struct braid_wait_queue *queue) {
  if (braid_list_empty(&queue->nodes)) return;
  struct braid_wake_list woken = {0};
  braid_wait_queue_claim_all(queue, BRAID_OK, &woken);
  braid_loop_post_all(&woken);
}

void braid_exchange_wake_all(struct braid_exchange *exchange) {
  braid_exchange_wake(&exchange->readers);
  braid_exchange_wake(&exchange->writers);
}

void braid_exchange_tell(struct braid_exchange *exchange, unsigned news) {
  struct braid_loop *loop = exchange->server->loop;
  exchange->news |= news;
  if (exchange->queued) return;
  exchange->queued = true;
  if (!exchange->joined)
    braid_wake_list_push(&loop->ready, &exchange->waiter);
  else
    braid_loop_end_wait(loop, &exchange->waiter, BRAID_CLOSED); /* false: the task has ended, so it is ready already */
}

unsigned braid_exchange_news(struct braid_exchange *exchange) {
  unsigned news = exchange->news;
  exchange->queued = exchange->joined = false;
  exchange->news = 0;
  return news;
}

void braid_exchange_dispatch(struct braid_exchange *exchange) {
  struct braid_web_server *server = exchange->server;
  exchange->held = true;
  if (server->options.request_timeout) {
    exchange->dispatched = braid_time_now();
    braid_list_push(&server->unanswered, &exchange->unanswered);
    braid_web_server_alarm(server, exchange->dispatched + server->options.request_timeout);
  }
  braid_exchange_tell(exchange, BRAID_NEWS_ARRIVED);
}

void braid_exchange_refuse(struct braid_exchange *exchange, unsigned status) {
  exchange->held = true;
  exchange->refusal = status;
  braid_exchange_tell(exchange, BRAID_NEWS_REFUSED);
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

const char *braid_exchange_method(const struct braid_exchange *exchange, size_t *size) {
  *size = exchange->head.method.size;
  return exchange->text + exchange->head.method.at;
}

const char *braid_exchange_path(const struct braid_exchange *exchange, size_t *size) {
  if (exchange->path.size > 0) {
    *size = exchange->path.size;
    return exchange->path.data;
  }
  *size = exchange->head.path.size;
  return exchange->text + exchange->head.path.at;
}

unsigned braid_exchange_set_path(struct braid_exchange *exchange) {
  const struct braid_part path = exchange->head.path;
  if (path.size == 0) { /* "*", or an absolute target without a path */
    bool star = exchange->text[exchange->head.target.at] == '*';
    return braid_buffer_append(&exchange->path, star ? "*" : "/", 1) ? 0 : 503;
  }
  const char *text = exchange->text + path.at;
  if (!memchr(text, '%', path.size) && !memchr(text, '.', path.size) && !memchr(text + 1, '/', path.size - 1)) return 0;
  char *room = braid_buffer_reserve(&exchange->path, path.size);
  if (!room) return 503;
  size_t size = 0;
  enum braid_path outcome = braid_path_normalise(text, path.size, false, room, &size);
  exchange->path.size = size;
  exchange->escaped = outcome == BRAID_PATH_ESCAPED;
  return outcome == BRAID_PATH_BAD ? 400 : 0;
}

void braid_exchange_admit(struct braid_exchange *exchange, uint64_t max_body, bool streamed) {
  exchange->max_body = max_body;
  exchange->streamed = streamed;
  if (exchange->connection) exchange->connection->protocol->admitted(exchange);
}

bool braid_exchange_has_large_form(const struct braid_exchange *exchange, uint64_t max_body) {
  static const char type[] = "multipart/form-data";
  const struct braid_head *head = &exchange->head;
  struct braid_field field;
  bool large = max_body > LARGE && !(head->flags & BRAID_HEAD_LENGTH && head->length <= LARGE);
  return large && !exchange->server->options.request_timeout &&
         braid_field_find(exchange->text + head->fields.at, head->fields.size, "content-type", &field) &&
         field.value_size >= sizeof type - 1 && strncasecmp(field.value, type, sizeof type - 1) == 0;
}

bool braid_exchange_asks(const struct braid_exchange *exchange) {
  const struct braid_web_options *options = &exchange->server->options;
  return options->asks || braid_exchange_has_large_form(exchange, options->max_body);
}

bool braid_exchange_owes_rest(const struct braid_exchange *exchange, unsigned status) {
  return exchange->large_form && status < 400 && !exchange->body_ended && !exchange->refusal &&
         braid_exchange_lives(exchange);
}

void braid_exchange_want(struct braid_exchange *exchange) {
  if (exchange->connection && !exchange->body_ended) exchange->connection->protocol->wanted(exchange);
}

void braid_exchange_forget(struct braid_exchange *exchange) {
  exchange->body.size = 0;
  braid_exchange_want(exchange);
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

bool braid_exchange_respond(struct braid_exchange *exchange, const struct braid_answer *answer) {
  bool may = exchange->connection && !exchange->answered;
  if (may) {
    exchange->answered = true;
    exchange->status = answer->status;
    exchange->gives_stream = answer->kind == BRAID_ANSWER_STREAM;
    braid_list_remove(&exchange->unanswered);
    if (exchange->connection->protocol->respond(exchange, answer)) return true;
    exchange->answered = exchange->gives_stream = false;
  }
  if (answer->kind == BRAID_ANSWER_FILE) close(answer->file);
  return false;
}

bool braid_exchange_write(struct braid_exchange *exchange, const void *data, size_t size) {
  if (!exchange->connection || !exchange->gives_stream || exchange->stream_ended) return false;
  return exchange->connection->protocol->write(exchange, data, size);
}

bool braid_exchange_has_room(const struct braid_exchange *exchange) {
  return !exchange->connection || exchange->connection->protocol->has_room(exchange);
}

void braid_exchange_end(struct braid_exchange *exchange, bool failed) {
  if (!exchange->connection || !exchange->gives_stream || exchange->stream_ended) return;
  exchange->stream_ended = true;
  exchange->failed = failed;
  exchange->connection->protocol->end(exchange);
}

bool braid_exchange_upgrade(struct braid_exchange *exchange, const void *head, size_t size,
                            struct braid_transport *transport, struct braid_buffer *rest) {
  if (!exchange->connection || exchange->answered || !exchange->connection->protocol->upgrade) return false;
  if (!exchange->connection->protocol->upgrade(exchange, head, size, transport, rest)) return false;
  exchange->server->counts.upgraded++;
  return true;
}
