/* SPDX-License-Identifier: MIT
 * A connection that has ended keeps its memory until the server's next turn, so that functions on the way out find it.
 * The block for incoming bytes belongs to it only while bytes are there; so an idle connection costs little. */
#include "core/web/web_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/virtual_clock.h"
#include "core/web/web_server.h"

enum {
  LEAST_RATE = 500,       /* bytes of a body each second */
  BURST = 64 << 10,       /* bytes at once that count as no delay at all */
  FILE_PIECE = 256 << 10, /* bytes of a file that are sent before others have their turn */
  KEPT_OUT = 16 << 10,    /* bytes of `out` that are kept */
  SPARE_BLOCKS = 256
};

/* ---- life ----------------------------------------------------------------------------------------------------- */

static void fire(struct braid_watch *watch, int events) {
  struct braid_web_connection *connection = braid_container(watch, struct braid_web_connection, watch);
  if (events & BRAID_HANGUP) {
    braid_web_connection_end(connection, false);
    return;
  }
  if (braid_web_connection_backlog(connection) > 0 && events & connection->transport.write_wants) {
    if (braid_web_connection_flush(connection) && !connection->ended) connection->protocol->writable(connection);
    if (connection->ended) return;
  }
  if (connection->interest & BRAID_READ && events & connection->transport.read_wants)
    connection->protocol->readable(connection);
}

struct braid_web_connection *braid_web_connection_new(struct braid_web_server *server,
                                                      struct braid_transport *transport,
                                                      const struct braid_address *peer) {
  struct braid_web_connection *connection = calloc(1, sizeof *connection);
  if (connection) {
    connection->transport = *transport;
    connection->watch.fire = fire;
    connection->server = server;
    connection->file = -1;
    connection->wait = BRAID_WEB_FREE;
    connection->interest = BRAID_READ;
    if (peer->size <= sizeof connection->peer) memcpy(&connection->peer, &peer->bytes, peer->size);
    braid_list_init(&connection->link);
    braid_list_push(&server->connections, &connection->all);
    server->counts.connections++;
    if (!braid_watch_start(server->loop, &connection->watch, transport->fd, BRAID_READ)) return connection;
    braid_web_connection_end(connection, false);
    return NULL;
  }
  transport->class->term(transport, true);
  close(transport->fd);
  return NULL;
}

/* The system resets a connection that is closed with this option. */
static void ask_for_reset(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void give_block(struct braid_web_connection *connection) {
  struct braid_web_server *server = connection->server;
  if (!connection->in) return;
  if (connection->in_room == BRAID_WEB_BLOCK && server->block_count < SPARE_BLOCKS) {
    memcpy(connection->in, &server->blocks, sizeof server->blocks);
    server->blocks = connection->in;
    server->block_count++;
  } else {
    free(connection->in);
  }
  connection->in = NULL;
  connection->in_room = connection->in_size = 0;
}

void braid_web_connection_end(struct braid_web_connection *connection, bool reset) {
  struct braid_web_server *server = connection->server;
  if (connection->ended) return;
  connection->ended = true;
  braid_watch_stop(server->loop, &connection->watch);
  braid_list_remove(&connection->link);
  if (connection->protocol) connection->protocol->term(connection);
  if (reset) ask_for_reset(connection->transport.fd);
  if (connection->transport.class) {
    connection->transport.class->term(&connection->transport, reset);
    close(connection->transport.fd);
  }
  if (connection->file >= 0) close(connection->file);
  give_block(connection);
  braid_buffer_term(&connection->out);
  server->counts.connections--;
  braid_list_remove(&connection->all);
  braid_list_push(&server->ended, &connection->all);
  braid_web_server_alarm(server, braid_time_now());
}

void braid_web_connection_free(struct braid_web_connection *connection) {
  braid_list_remove(&connection->all);
  free(connection);
}

void braid_web_connection_peer(const struct braid_web_connection *connection, char text[BRAID_ADDRESS_TEXT]) {
  struct braid_address address = {.size = 0};
  int port;
  if (connection->peer.any.sa_family == AF_INET) address.size = sizeof connection->peer.four;
  if (connection->peer.any.sa_family == AF_INET6) address.size = sizeof connection->peer.six;
  memcpy(&address.bytes, &connection->peer, address.size);
  braid_address_text(&address, text, &port);
}

/* ---- limits of time ------------------------------------------------------------------------------------------- */

void braid_web_connection_wait(struct braid_web_connection *connection, enum braid_web_wait wait) {
  struct braid_web_server *server = connection->server;
  if (connection->ended) return;
  if (wait == connection->wait && wait == BRAID_WEB_FREE) return;
  braid_list_remove(&connection->link);
  connection->wait = (uint8_t)wait;
  if (wait == BRAID_WEB_FREE) return;
  int64_t limit = braid_web_server_limit(server, wait);
  connection->since = braid_time_now();
  connection->due = connection->since + server->options.idle_timeout;
  braid_list_push(&server->waits[wait], &connection->link);
  if (limit != BRAID_NEVER) braid_web_server_alarm(server, connection->since + limit);
}

void braid_web_connection_body_came(struct braid_web_connection *connection, size_t size) {
  int64_t limit = connection->server->options.idle_timeout;
  if (connection->wait != BRAID_WEB_BODY || !limit) return;
  int64_t most = braid_time_now() + limit;
  if (size < BURST) connection->due += (int64_t)size * (BRAID_SECOND / LEAST_RATE);
  if (size >= BURST || connection->due > most) connection->due = most;
}

/* ---- events --------------------------------------------------------------------------------------------------- */

/* What it wants to read, and what it has to write, as events of the descriptor. */
static void apply_interest(struct braid_web_connection *connection) {
  const struct braid_transport *transport = &connection->transport;
  int events = connection->interest & ~BRAID_READ;
  if (connection->ended) return;
  if (connection->interest & BRAID_READ) events |= transport->read_wants;
  if (braid_web_connection_backlog(connection) > 0) events |= transport->write_wants;
  if (events == connection->watch.events) return;
  if (connection->watch.events)
    braid_watch_change(connection->server->loop, &connection->watch, events);
  else
    braid_watch_start(connection->server->loop, &connection->watch, transport->fd, events);
}

void braid_web_connection_watch(struct braid_web_connection *connection, int events) {
  connection->interest = (uint8_t)events;
  apply_interest(connection);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

size_t braid_web_connection_read(struct braid_web_connection *connection, void *data, size_t size) {
  ssize_t count = connection->transport.class->read(&connection->transport, data, size);
  if (count > 0) return (size_t)count;
  if (count == 0) {
    connection->in_ended = true;
    braid_web_connection_watch(connection, BRAID_HANGUP);
  } else if (count != -EAGAIN) {
    braid_web_connection_end(connection, false);
  } else {
    apply_interest(connection);
  }
  return 0;
}

static char *take_block(struct braid_web_server *server) {
  char *block = server->blocks;
  if (!block) return malloc(BRAID_WEB_BLOCK);
  memcpy(&server->blocks, block, sizeof server->blocks);
  server->block_count--;
  return block;
}

char *braid_web_connection_reserve(struct braid_web_connection *connection, uint32_t least) {
  if (!connection->in) {
    connection->in = take_block(connection->server);
    if (!connection->in) return NULL;
    connection->in_room = BRAID_WEB_BLOCK;
  }
  if (connection->in_room - connection->in_size < least) {
    uint32_t room = connection->in_room;
    while (room - connection->in_size < least) room *= 2;
    char *grown = realloc(connection->in, room);
    if (!grown) return NULL;
    connection->in = grown;
    connection->in_room = room;
  }
  return connection->in + connection->in_size;
}

void braid_web_connection_rest(struct braid_web_connection *connection) {
  if (connection->in_size == 0) give_block(connection);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static bool keep(struct braid_web_connection *connection, const struct iovec *pieces, int count, size_t sent) {
  struct braid_buffer *out = &connection->out;
  if (connection->out_taken > 0 && connection->out_taken >= out->size / 2) {
    out->size -= connection->out_taken;
    memmove(out->data, out->data + connection->out_taken, out->size);
    connection->out_taken = 0;
  }
  for (int i = 0; i < count; i++) {
    size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
    sent -= skip;
    if (skip == pieces[i].iov_len) continue;
    if (!braid_buffer_append(out, (char *)pieces[i].iov_base + skip, pieces[i].iov_len - skip)) {
      braid_web_connection_end(connection, true);
      return false;
    }
  }
  apply_interest(connection);
  return true;
}

bool braid_web_connection_send(struct braid_web_connection *connection, struct iovec *pieces, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += pieces[i].iov_len;
  ssize_t sent = 0;
  if (connection->ended) return false;
  if (braid_web_connection_backlog(connection) == 0) {
    const struct braid_transport_class *class = connection->transport.class;
    sent = class->write(&connection->transport, pieces, count);
    if (sent == -EAGAIN) sent = 0;
    if (sent > 0 && class->flush) connection->held = class->flush(&connection->transport) == -EAGAIN;
    if (sent < 0) {
      braid_web_connection_end(connection, false);
      return false;
    }
  }
  if ((size_t)sent < size) return keep(connection, pieces, count, (size_t)sent);
  if (connection->held) apply_interest(connection);
  return true;
}

/* What `send_file` is for transports without it. */
static ssize_t read_and_send(struct braid_web_connection *connection, size_t size) {
  char piece[16 << 10];
  ssize_t count =
      pread(connection->file, piece, size < sizeof piece ? size : sizeof piece, (off_t)connection->file_offset);
  if (count <= 0) return count < 0 ? -errno : 0;
  struct iovec one = {piece, (size_t)count};
  return connection->transport.class->write(&connection->transport, &one, 1);
}

static ssize_t send_piece(struct braid_web_connection *connection) {
  const struct braid_transport_class *class = connection->transport.class;
  if (connection->out_taken < connection->out.size) {
    struct iovec one = {connection->out.data + connection->out_taken, connection->out.size - connection->out_taken};
    return class->write(&connection->transport, &one, 1);
  }
  size_t size = connection->file_left < FILE_PIECE ? (size_t)connection->file_left : FILE_PIECE;
  return class->send_file ? class->send_file(&connection->transport, connection->file, connection->file_offset, size)
                          : read_and_send(connection, size);
}

/* So many bytes have gone. */
static void account(struct braid_web_connection *connection, size_t count) {
  struct braid_buffer *out = &connection->out;
  if (connection->out_taken == out->size) {
    connection->file_offset += count;
    connection->file_left -= count;
    return;
  }
  connection->out_taken += count;
  if (connection->out_taken < out->size) return;
  connection->out_taken = out->size = 0;
  if (out->capacity > KEPT_OUT) braid_buffer_term(out);
}

bool braid_web_connection_flush(struct braid_web_connection *connection) {
  size_t sent = 0;
  while (!connection->ended && braid_web_connection_backlog(connection) > 0) {
    bool in_file = connection->out_taken == connection->out.size;
    int held = connection->held ? connection->transport.class->flush(&connection->transport) : 0;
    if (held == 0) connection->held = false;
    ssize_t count = held ? held : sent < FILE_PIECE ? send_piece(connection) : -EAGAIN;
    if (count == -EAGAIN) break;
    if (count < 0 || (count == 0 && in_file)) { /* the client has gone, or the file has become shorter */
      braid_web_connection_end(connection, true);
      return false;
    }
    account(connection, (size_t)count);
    sent += (size_t)count;
  }
  if (connection->ended) return false;
  if (sent > 0 && connection->wait == BRAID_WEB_OUT) braid_web_connection_wait(connection, BRAID_WEB_OUT);
  if (braid_web_connection_backlog(connection) == 0 && connection->file >= 0) {
    close(connection->file);
    connection->file = -1;
  }
  apply_interest(connection);
  return braid_web_connection_backlog(connection) == 0;
}
