/* SPDX-License-Identifier: MIT
 * Any bytes from a client of the web server, in pieces of any size; HTTP/2 if they begin with its preface. The owner
 * answers at once, later, or piece by piece. Whatever comes, memory stays in order, and what is sent begins with
 * answers. The first byte of an input says how. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/web/http2.h"
#include "core/web/target.h"
#include "core/web/web_server.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ASKS = 1, STREAMED = 2, STREAMS = 4, LATE = 8, LEAVES = 16, STEPS = 5, KEPT = 64 };

static struct braid_loop loop;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  return braid_loop_open(&loop);
}

struct owner {
  unsigned how;
  struct braid_exchange *kept[KEPT]; /* not answered yet, or not read */
  unsigned count;
};

static void check_path(const struct braid_exchange *exchange) {
  size_t size;
  const char *path = braid_exchange_path(exchange, &size);
  if (size == 0 || (*path != '/' && *path != '*')) abort();
}

static void answer(const struct owner *owner, struct braid_exchange *exchange) {
  struct braid_answer answer = {.status = exchange->refusal ? exchange->refusal : 200, .body = "hello", .size = 5};
  if (owner->how & STREAMS) answer.kind = BRAID_ANSWER_STREAM;
  if (braid_exchange_respond(exchange, &answer) && owner->how & STREAMS) {
    braid_exchange_write(exchange, "hello", 5);
    braid_exchange_end(exchange, exchange->arrived % 3 == 1);
  }
  braid_exchange_leave(exchange);
}

/* False: it waits for more of the body. */
static bool read_body(struct braid_exchange *exchange) {
  if (!exchange->streamed || exchange->refusal || exchange->body_ended || !exchange->connection) return true;
  if (exchange->body.size > 0)
    braid_exchange_forget(exchange);
  else
    braid_exchange_want(exchange);
  return exchange->body_ended || exchange->refusal || !exchange->connection;
}

static void go_on(struct owner *owner) {
  unsigned count = owner->count;
  owner->count = 0;
  for (unsigned i = 0; i < count; i++) {
    if (read_body(owner->kept[i]))
      answer(owner, owner->kept[i]);
    else
      owner->kept[owner->count++] = owner->kept[i];
  }
}

static void take(struct owner *owner, struct braid_exchange *exchange) {
  unsigned news = braid_exchange_news(exchange);
  if (!exchange->connection) news &= BRAID_NEWS_GONE;
  if (news & BRAID_NEWS_ASKED) braid_exchange_admit(exchange, 64, owner->how & STREAMED);
  if (news & BRAID_NEWS_ASKED && exchange->connection) return;
  if (news & BRAID_NEWS_ARRIVED) check_path(exchange);
  bool later = owner->how & LATE || exchange->streamed;
  if (news & (BRAID_NEWS_ARRIVED | BRAID_NEWS_REFUSED) && later && owner->count < KEPT)
    owner->kept[owner->count++] = exchange;
  else if (news & (BRAID_NEWS_ARRIVED | BRAID_NEWS_REFUSED))
    answer(owner, exchange);
  else if (!exchange->held)
    braid_exchange_leave(exchange);
}

static void turn(struct owner *owner) {
  struct braid_waiter *waiter;
  for (int i = 0; i < 3; i++) {
    braid_loop_poll(&loop, 0);
    while ((waiter = braid_loop_next(&loop))) take(owner, braid_container(waiter, struct braid_exchange, waiter));
  }
}

/* What was sent so far begins with the head of an answer. */
static void read_answers(int fd, bool http2) {
  char text[4096];
  ssize_t count = recv(fd, text, sizeof text, MSG_DONTWAIT);
  if (!http2 && count >= 9 && memcmp(text, "HTTP/1.1 ", 9) != 0) abort();
  while (count > 0) count = recv(fd, text, sizeof text, MSG_DONTWAIT);
}

static void play(struct braid_web_server *server, struct owner *owner, const char *data, size_t size) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) abort();
  if (braid_web_server_adopt(server, ends[0])) abort();
  size_t step = (owner->how >> STEPS) + 1;
  if (step == 8) step = size + 1;
  for (size_t from = 0; from < size; from += step) {
    size_t piece = size - from < step ? size - from : step;
    if (send(ends[1], data + from, piece, MSG_NOSIGNAL) < 0) break;
    turn(owner);
    if (from % 3 == 2) go_on(owner);
  }
  if (owner->how & LEAVES)
    close(ends[1]);
  else
    shutdown(ends[1], SHUT_WR);
  for (int i = 0; i < 2; i++) {
    turn(owner);
    go_on(owner);
  }
  turn(owner);
  if (!(owner->how & LEAVES)) {
    read_answers(ends[1], size > 3 && memcmp(data, "PRI", 3) == 0);
    close(ends[1]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct owner owner = {.how = *data};
  struct braid_web_options options = {.max_body = 64, .max_header = 1024, .asks = *data & ASKS};
  struct braid_web_server *server;
  if (braid_web_server_open(&server, &loop, &options)) abort();
  braid_http2_enable(server);
  play(server, &owner, (const char *)data + 1, size - 1);
  if (server->counts.exchanges > 0 && owner.count == 0 && server->counts.connections == 0) abort();
  braid_web_server_close(server);
  return 0;
}
