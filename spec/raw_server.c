/* SPDX-License-Identifier: MIT
 * An HTTP server that misbehaves as it is told, for spec/http_spec.lua: the path says how. Prints its port, serves
 * 127.0.0.1 with a thread for each connection, ends at /quit and in any case after some minutes. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LIFETIME = 600, ROOM = 65536 };

static atomic_long accepted, still_open, requests, sent; /* sent: bytes of endless and big bodies */

struct exchange {
  int fd;
  char *head; /* the request up to its body, NUL-terminated */
  char *body;
  size_t body_size;
  bool close; /* when it is answered */
};

/* ---- writing -------------------------------------------------------------------------------------------------- */

static bool send_bytes(struct exchange *exchange, const void *bytes, size_t size) {
  for (const char *at = bytes; size > 0;) {
    ssize_t count = send(exchange->fd, at, size, 0);
    if (count <= 0) {
      exchange->close = true;
      return false;
    }
    at += count;
    size -= (size_t)count;
  }
  return true;
}

static bool send_text(struct exchange *exchange, const char *format, ...) {
  char text[ROOM];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return send_bytes(exchange, text, (size_t)size);
}

/* A whole answer. `headers`: further lines, each with its end. */
static void answer(struct exchange *exchange, int status, const char *headers, const char *body, size_t size) {
  send_text(exchange, "HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n%s\r\n", status, headers, size,
            exchange->close ? "Connection: close\r\n" : "");
  if (strncmp(exchange->head, "HEAD ", 5) != 0) send_bytes(exchange, body, size);
}

static void answer_text(struct exchange *exchange, int status, const char *headers, const char *format, ...) {
  char text[ROOM];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  answer(exchange, status, headers, text, strlen(text));
}

/* ---- what the query says -------------------------------------------------------------------------------------- */

/* The value of a parameter, decoded, in a buffer of the thread's; NULL when it is not there. */
static const char *text_of(const struct exchange *exchange, const char *name) {
  static _Thread_local char value[1024];
  const char *end = strchr(exchange->head, '\r'), *at = strchr(exchange->head, '?');
  size_t size = strlen(name), length = 0;
  for (; at && at < end; at = strpbrk(at + 1, "&\r")) {
    if (strncmp(at + 1, name, size) != 0 || at[1 + size] != '=') continue;
    for (at += 2 + size; !strchr("& \r", *at) && length < sizeof value - 1; at++) {
      unsigned code;
      value[length] = *at;
      if (*at == '%' && sscanf(at + 1, "%2x", &code) == 1) value[length] = (char)code, at += 2;
      length++;
    }
    value[length] = '\0';
    return value;
  }
  return NULL;
}

static long number_of(const struct exchange *exchange, const char *name, long otherwise) {
  const char *text = text_of(exchange, name);
  return text ? atol(text) : otherwise;
}

static void nap(long milliseconds) {
  struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* ---- behaviours ----------------------------------------------------------------------------------------------- */

static void do_ok(struct exchange *e) { answer_text(e, 200, "", "ok"); }
static void do_json(struct exchange *e) { answer_text(e, 200, "", "{\"ok\": true, \"list\": [1, 2.5, null]}"); }
static void do_status(struct exchange *e) { answer_text(e, (int)number_of(e, "code", 200), "", "as asked"); }

static void do_echo(struct exchange *e) {
  char text[ROOM];
  int size = snprintf(text, sizeof text, "%s\n\n%.*s", e->head, (int)e->body_size, e->body);
  answer(e, 200, "", text, (size_t)size);
}

static void do_delay(struct exchange *e) {
  nap(number_of(e, "ms", 100));
  do_ok(e);
}

/* Never answers; sees when the other side is gone. */
static void do_never(struct exchange *e) {
  char byte;
  while (recv(e->fd, &byte, 1, 0) > 0) continue;
  e->close = true;
}

static void do_close(struct exchange *e) {
  e->close = true;
  do_ok(e);
}

static void do_empty(struct exchange *e) { e->close = true; }

static void do_short(struct exchange *e) {
  send_text(e, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
  e->close = true;
}

static void do_garbage(struct exchange *e) {
  send_text(e, "this is not HTTP\r\nat all\r\n\r\n");
  e->close = true;
}

static void do_headers(struct exchange *e) {
  answer_text(e, 200, "X-Multi: one\r\nx-multi:two  \r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty:\r\n",
              "ok");
}

/* A head that does not end. */
static void do_flood(struct exchange *e) {
  send_text(e, "HTTP/1.1 200 OK\r\n");
  while (send_text(e, "X-Flood: %01000d\r\n", 0)) continue;
}

static void do_redirect(struct exchange *e) {
  char headers[2048];
  const char *to = text_of(e, "to");
  snprintf(headers, sizeof headers, "Location: %s\r\n", to ? to : "/ok");
  answer_text(e, (int)number_of(e, "code", 302), headers, "not here");
}

static void do_loop(struct exchange *e) { answer_text(e, 302, "Location: /loop\r\n", "not here"); }

static void do_cookie(struct exchange *e) { answer_text(e, 200, "Set-Cookie: flavour=plain; Path=/\r\n", "ok"); }

static void do_gzip(struct exchange *e) {
  static const char hello[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\xb9\x00\x00"
                              "\x88\x59\x0b\x18\x00\x00\x00";
  answer(e, 200, "Content-Encoding: gzip\r\n", hello, sizeof hello - 1);
}

static void send_many(struct exchange *e, long bytes) {
  char piece[16384];
  memset(piece, 'x', sizeof piece);
  while (bytes > 0) {
    size_t size = bytes < (long)sizeof piece ? (size_t)bytes : sizeof piece;
    if (!send_bytes(e, piece, size)) return;
    atomic_fetch_add(&sent, (long)size);
    bytes -= (long)size;
  }
}

static void do_big(struct exchange *e) {
  long bytes = number_of(e, "bytes", 1000);
  send_text(e, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", bytes);
  if (strncmp(e->head, "HEAD ", 5) != 0) send_many(e, bytes);
}

static void do_endless(struct exchange *e) {
  send_text(e, "HTTP/1.1 200 OK\r\n\r\n");
  send_many(e, number_of(e, "bytes", 1L << 40));
  e->close = true;
}

static void do_drip(struct exchange *e) {
  send_text(e, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (long i = 1; i <= number_of(e, "count", 5); i++) {
    if (!send_text(e, "5\r\ndrip%ld\r\n", i % 10)) return;
    nap(number_of(e, "ms", 20));
  }
  send_text(e, "0\r\n\r\n");
}

static void do_facts(struct exchange *e) {
  answer_text(e, 200, "", "{\"accepted\": %ld, \"open\": %ld, \"requests\": %ld, \"sent\": %ld}", (long)accepted,
              (long)still_open, (long)requests, (long)sent);
}

static void do_quit(struct exchange *e) {
  do_ok(e);
  exit(0);
}

static const struct {
  const char *path;
  void (*behave)(struct exchange *);
} behaviours[] = {
    {"/ok", do_ok},
    {"/json", do_json},
    {"/status", do_status},
    {"/echo", do_echo},
    {"/delay", do_delay},
    {"/never", do_never},
    {"/close", do_close},
    {"/empty", do_empty},
    {"/short", do_short},
    {"/garbage", do_garbage},
    {"/flood", do_flood},
    {"/headers", do_headers},
    {"/redirect", do_redirect},
    {"/loop", do_loop},
    {"/cookie", do_cookie},
    {"/gzip", do_gzip},
    {"/big", do_big},
    {"/endless", do_endless},
    {"/drip", do_drip},
    {"/facts", do_facts},
    {"/quit", do_quit},
};

static void behave(struct exchange *exchange) {
  const char *path = strchr(exchange->head, ' ');
  if (path && strncmp(path, " http://", 8) == 0) path = strchr(path + 8, '/') - 1; /* as a proxy is asked */
  size_t size = path ? strcspn(path + 1, "? \r") : 0;
  for (size_t i = 0; path && i < sizeof behaviours / sizeof *behaviours; i++) {
    size_t length = strlen(behaviours[i].path);
    if (size < length || strncmp(path + 1, behaviours[i].path, length) != 0) continue;
    if (size > length && path[1 + length] != '/') continue;
    behaviours[i].behave(exchange);
    return;
  }
  answer_text(exchange, 404, "", "no such behaviour");
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static size_t body_size(const char *head) {
  const char *line = strcasestr(head, "\ncontent-length:");
  return line ? strtoul(line + 16, NULL, 10) : 0;
}

/* Reads one request into `buffer`, of which `have` bytes are there; false when there is no more, or it is TLS. */
static bool read_request(struct exchange *exchange, char *buffer, size_t *have) {
  for (;;) {
    if (*have > 0 && buffer[0] == 22) return false;
    buffer[*have] = '\0';
    char *end = strstr(buffer, "\r\n\r\n");
    if (end) {
      *end = '\0';
      exchange->head = buffer;
      exchange->body = end + 4;
      exchange->body_size = body_size(buffer);
      if (exchange->body + exchange->body_size > buffer + ROOM) return false;
      if (exchange->body + exchange->body_size <= buffer + *have) return true;
      *end = '\r';
    }
    ssize_t count = *have < ROOM ? recv(exchange->fd, buffer + *have, ROOM - *have, 0) : 0;
    if (count <= 0) return false;
    *have += (size_t)count;
  }
}

static void *serve(void *argument) {
  struct exchange exchange = {.fd = (int)(long)argument};
  char *buffer = malloc(ROOM + 1);
  size_t have = 0;
  while (buffer && !exchange.close && read_request(&exchange, buffer, &have)) {
    size_t used = (size_t)(exchange.body + exchange.body_size - buffer);
    atomic_fetch_add(&requests, 1);
    behave(&exchange);
    memmove(buffer, buffer + used, have - used);
    have -= used;
  }
  free(buffer);
  atomic_fetch_sub(&still_open, 1);
  close(exchange.fd);
  return NULL;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  signal(SIGPIPE, SIG_IGN);
  alarm(LIFETIME);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024) ||
      getsockname(listener, (struct sockaddr *)&address, &size))
    return 1;
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    atomic_fetch_add(&accepted, 1);
    atomic_fetch_add(&still_open, 1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0) pthread_detach(thread);
  }
}
