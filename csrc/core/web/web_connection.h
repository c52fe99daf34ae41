/* SPDX-License-Identifier: MIT
 * An accepted connection: its transport, its protocol, the bytes that came and those that have to go. The server's
 * thread only; nothing blocks. */
#ifndef BRAID_WEB_CONNECTION_H
#define BRAID_WEB_CONNECTION_H

#include <netinet/in.h>

#include "core/base/buffer.h"
#include "core/loop/loop.h"
#include "core/net/socket.h"
#include "core/web/chunks.h"
#include "core/web/exchange.h"
#include "core/web/transport.h"

/* What a protocol does. HTTP/1.1 is http1.c. Every function may end the connection; then its memory stays until the
 * server's next turn. */
struct braid_protocol {
  const char *version; /* "HTTP/1.1" */
  /* The connection speaks it from now on; bytes may have come already. */
  void (*begin)(struct braid_web_connection *connection);
  /* Bytes have come, or the end (`in_ended`). Reads as much as it wants by braid_web_connection_read. */
  void (*readable)(struct braid_web_connection *connection);
  /* All of `out` has gone. */
  void (*writable)(struct braid_web_connection *connection);
  /* The owner has decided about a body. */
  void (*admitted)(struct braid_exchange *exchange);
  /* The owner wants more of a streamed body. */
  void (*wanted)(struct braid_exchange *exchange);
  bool (*respond)(struct braid_exchange *exchange, const struct braid_answer *answer);
  bool (*write)(struct braid_exchange *exchange, const void *data, size_t size);
  bool (*has_room)(const struct braid_exchange *exchange);
  void (*end)(struct braid_exchange *exchange);
  /* The connection waits in `list` for too long. */
  void (*expired)(struct braid_web_connection *connection);
  /* Gives the transport up; see braid_exchange_upgrade. NULL: it cannot. */
  bool (*upgrade)(struct braid_exchange *exchange, const void *head, size_t size, struct braid_transport *transport,
                  struct braid_buffer *rest);
  /* The server takes no more requests. */
  void (*drain)(struct braid_web_connection *connection);
  /* Ends the exchanges, and gives back what the protocol has. */
  void (*term)(struct braid_web_connection *connection);
};

/* For which reason a connection is limited in time. The server has a list for each. */
enum braid_web_wait {
  BRAID_WEB_IDLE,   /* no request has begun */
  BRAID_WEB_HEAD,   /* a head has begun */
  BRAID_WEB_BODY,   /* a body is coming; `due` is its limit */
  BRAID_WEB_OUT,    /* the client has to read */
  BRAID_WEB_LINGER, /* it is answered and shut down; what the client still sends is dropped */
  BRAID_WEB_HALF,   /* the client has shut its side down, and waits for an answer */
  BRAID_WEB_WAITS,
  BRAID_WEB_FREE = BRAID_WEB_WAITS /* no limit: the handler works */
};

struct braid_web_connection {
  struct braid_watch watch;
  struct braid_list link; /* in the server's list for its wait */
  struct braid_list all;  /* in the server's list of all, or of those that have ended */
  struct braid_web_server *server;
  const struct braid_protocol *protocol;
  struct braid_transport transport;
  struct braid_exchange *exchange; /* of HTTP/1.1: the current one */
  void *state;                     /* the protocol's own */
  char *in;                        /* a block of `in_room` bytes; NULL: none */
  uint32_t in_room, in_size;       /* bytes that have come and are not used up */
  uint32_t used;                   /* of HTTP/1.1: up to where they are used for the current exchange */
  uint8_t phase;                   /* of HTTP/1.1 */
  uint8_t wait;                    /* enum braid_web_wait */
  uint8_t interest;                /* BRAID_READ, or BRAID_HANGUP */
  bool ended;                      /* the descriptor is closed */
  bool in_ended;                   /* the client will send no more */
  bool closing;                    /* no further request is taken */
  bool excess;                     /* over the limit of connections: its first request is refused */
  bool told_protocol;              /* the transport has been asked for its protocol */
  bool held;                       /* the transport has taken bytes that have not gone */
  struct braid_buffer out;         /* what the transport has not taken yet */
  size_t out_taken;
  int64_t since, due; /* times */
  uint64_t drained;   /* bytes that were dropped */
  int file;           /* the rest of a file that has to go; -1: none */
  uint64_t file_offset, file_left;
  struct braid_head head;     /* of HTTP/1.1: of the request that is coming */
  struct braid_chunks chunks; /* of HTTP/1.1: of its body */
  uint8_t probes;             /* how often it has looked whether a client that has shut its side down is there */
  union {                     /* of the client; family 0: it has none */
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    struct sockaddr any;
  } peer;
};

/* Takes over the transport. NULL: memory is out, or the descriptor cannot be watched; then it is closed. */
struct braid_web_connection *braid_web_connection_new(struct braid_web_server *server,
                                                      struct braid_transport *transport,
                                                      const struct braid_address *peer);

/* Closes the descriptor and ends its exchanges; `reset`: so that the client sees that something is missing. */
void braid_web_connection_end(struct braid_web_connection *connection, bool reset);

/* Frees it, after its end. */
void braid_web_connection_free(struct braid_web_connection *connection);

/* Reads once into `data`. Returns the size; 0: nothing now; a connection that is broken ends. Sets `in_ended`. */
size_t braid_web_connection_read(struct braid_web_connection *connection, void *data, size_t size);

/* Room for at least `least` bytes behind those that have come. NULL: memory is out. */
char *braid_web_connection_reserve(struct braid_web_connection *connection, uint32_t least);

/* Gives an empty block back. */
void braid_web_connection_rest(struct braid_web_connection *connection);

/* Sends the pieces; what the transport does not take is kept. False: the connection has ended. */
bool braid_web_connection_send(struct braid_web_connection *connection, struct iovec *pieces, int count);

/* Sends what is kept and the rest of the file. True: all has gone. */
bool braid_web_connection_flush(struct braid_web_connection *connection);

/* Bytes that have to go. */
static inline uint64_t braid_web_connection_backlog(const struct braid_web_connection *connection) {
  return connection->out.size - connection->out_taken + connection->file_left + connection->held;
}

/* Sets which events it wants besides those that the backlog needs: BRAID_READ, or BRAID_HANGUP. */
void braid_web_connection_watch(struct braid_web_connection *connection, int events);

/* Moves it to another list of the server, beginning now. */
void braid_web_connection_wait(struct braid_web_connection *connection, enum braid_web_wait wait);

/* A piece of a body has come: adds time. */
void braid_web_connection_body_came(struct braid_web_connection *connection, size_t size);

/* Writes the client's address as text; "" for a Unix socket's. */
void braid_web_connection_peer(const struct braid_web_connection *connection, char text[BRAID_ADDRESS_TEXT]);

#endif
