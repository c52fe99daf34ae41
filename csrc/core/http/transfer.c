/* SPDX-License-Identifier: MIT
 * libcurl's multi-socket interface on a loop.
 *
 * Ownership: a session owns its transfers from start to release. It keeps some released ones, with their easy handles
 * and buffers, for later requests.
 *
 * Invariant: transfers are added to the multi handle, removed from it and ended only in admit(), in drain(), and in
 * functions that the loop's owner calls; never in one of libcurl's callbacks. Callbacks only change buffers and flags,
 * and end waits. */
#include "core/http/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/http/broken_pipe.h"
#include "core/http/lookup.h"
#include "core/net/socket.h"

enum {
  WINDOW = 128 * 1024,       /* bytes of a streamed body that may wait; then the transfer pauses */
  MOST_IDLE = 1024,          /* released transfers that are kept */
  MOST_CONNECTIONS = 1 << 20 /* kept open by default: as many as were used at the same time */
};

struct socket_watch {
  struct braid_watch watch;
  struct braid_http_session *session;
};

/* ---- end of a transfer, and look-ups -------------------------------------------------------------------------- */

/* Ends the wait for the transfer, if there is one. */
static void tell(struct braid_transfer *transfer, enum braid_status status) {
  struct braid_waiter *waiter = transfer->waiter;
  transfer->waiter = NULL;
  if (waiter) braid_loop_end_wait(transfer->session->loop, waiter, status);
}

/* The address is known: admits all transfers that were held. Callbacks may call this. */
static void answer_lookup(struct braid_transfer *transfer) {
  struct braid_lookup *lookup = transfer->lookup;
  if (!lookup) return;
  transfer->lookup = NULL;
  braid_lookup_answer(lookup, &transfer->session->admitted);
}

static void finish(struct braid_transfer *transfer, CURLcode code);

/* The transfer has ended without an address. If the name does not exist, the held transfers fail, too; else the next
 * one looks it up. */
static void abandon_lookup(struct braid_transfer *transfer) {
  struct braid_lookup *lookup = transfer->lookup;
  if (!lookup) return;
  transfer->lookup = NULL;
  struct braid_list *link;
  while ((link = braid_lookup_pop(lookup))) {
    struct braid_transfer *next = braid_container(link, struct braid_transfer, turn);
    if (transfer->code != CURLE_COULDNT_RESOLVE_HOST) {
      next->lookup = lookup;
      braid_list_push(&transfer->session->admitted, &next->turn);
      return;
    }
    memcpy(next->text, transfer->text, sizeof next->text);
    finish(next, transfer->code);
  }
  braid_lookup_end(lookup);
}

/* Removes the transfer from libcurl. */
static void withdraw(struct braid_transfer *transfer) {
  struct braid_http_session *session = transfer->session;
  braid_list_remove(&transfer->turn);
  braid_broken_pipe_ignore();
  if (transfer->added) curl_multi_remove_handle(session->multi, transfer->easy);
  braid_broken_pipe_heed();
  transfer->added = false;
  if (transfer->bound) session->bound--;
  transfer->bound = false;
}

/* libcurl takes the end of the connection for the end of the head. */
static void refuse_half_a_head(struct braid_transfer *transfer) {
  transfer->code = CURLE_PARTIAL_FILE;
  snprintf(transfer->text, sizeof transfer->text, "the connection was closed within the head of the answer");
}

static void explain_repetition(struct braid_transfer *transfer) {
  transfer->code = CURLE_GOT_NOTHING;
  snprintf(transfer->text, sizeof transfer->text,
           "the connection was closed before the answer began; whether the "
           "request was carried out is not known");
}

static void finish(struct braid_transfer *transfer, CURLcode code) {
  long connects = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
  if (transfer->connected && connects == 0) transfer->session->reused++;
  withdraw(transfer);
  transfer->done = true;
  transfer->code = transfer->response.oversize ? CURLE_FILESIZE_EXCEEDED : code;
  if (transfer->starved) braid_socket_explain(EMFILE, transfer->text, sizeof transfer->text);
  if (transfer->code == CURLE_OK && !transfer->response.headed) refuse_half_a_head(transfer);
  if (transfer->repeated && code == CURLE_ABORTED_BY_CALLBACK) explain_repetition(transfer);
  abandon_lookup(transfer);
  tell(transfer, BRAID_OK);
}

/* Gives all admitted transfers to libcurl. */
static void admit(struct braid_http_session *session) {
  struct braid_list *link;
  while ((link = braid_list_pop(&session->admitted))) {
    struct braid_transfer *transfer = braid_container(link, struct braid_transfer, turn);
    transfer->added = transfer->tried = true;
    if (curl_multi_add_handle(session->multi, transfer->easy) == CURLM_OK) continue;
    transfer->added = false;
    finish(transfer, CURLE_OUT_OF_MEMORY);
  }
}

/* Ends the transfers that libcurl has finished, and admits others. To be called after each call that lets libcurl
 * work. */
static void drain(struct braid_http_session *session) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(session->multi, &left))) { /* CURLMSG_DONE is the only kind */
    CURLcode code = message->data.result;
    char *transfer = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    finish((struct braid_transfer *)(void *)transfer, code);
  }
  admit(session);
}

/* ---- callbacks of the loop ------------------------------------------------------------------------------------ */

static void act(struct braid_http_session *session, curl_socket_t fd, int events) {
  int running;
  braid_broken_pipe_ignore();
  curl_multi_socket_action(session->multi, fd, events, &running);
  braid_broken_pipe_heed();
  drain(session);
}

static void on_events(struct braid_watch *watch, int events) {
  int bits = (events & BRAID_READ ? CURL_CSELECT_IN : 0) | (events & BRAID_WRITE ? CURL_CSELECT_OUT : 0);
  act(braid_container(watch, struct socket_watch, watch)->session, watch->fd, bits);
}

static void on_deadline(struct braid_alarm *alarm) {
  act(braid_container(alarm, struct braid_http_session, alarm), CURL_SOCKET_TIMEOUT, 0);
}

/* ---- callbacks of libcurl ------------------------------------------------------------------------------------- */

/* Sets the alarm. Even "at once" waits for the loop's next turn: a transfer with constant data asks for it again and
 * again, and must not block other work. */
static int on_timer(CURLM *multi, long milliseconds, void *context) {
  (void)multi;
  struct braid_http_session *session = context;
  int64_t deadline = BRAID_NEVER;
  if (milliseconds >= 0) deadline = braid_clock_now() + 1 + milliseconds * (BRAID_SECOND / 1000);
  return braid_alarm_start(session->loop, &session->alarm, deadline) ? 0 : -1;
}

static struct braid_watch *take_watch(struct braid_http_session *session) {
  struct braid_watch *watch = session->spare;
  if (watch) {
    session->spare = watch->next;
    return watch;
  }
  struct socket_watch *fresh = malloc(sizeof *fresh);
  if (!fresh) return NULL;
  *fresh = (struct socket_watch){.watch.fire = on_events, .session = session};
  return &fresh->watch;
}

static void give_watch(struct braid_http_session *session, struct braid_watch *watch) {
  watch->next = session->spare;
  session->spare = watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  (void)easy;
  struct braid_http_session *session = context;
  struct braid_watch *watch = known;
  if (what == CURL_POLL_REMOVE) {
    if (!watch) return 0;
    braid_watch_stop(session->loop, watch);
    give_watch(session, watch);
    return 0;
  }
  int events = (what & CURL_POLL_IN ? BRAID_READ : 0) | (what & CURL_POLL_OUT ? BRAID_WRITE : 0);
  if (watch) return braid_watch_change(session->loop, watch, events) ? -1 : 0;
  watch = take_watch(session);
  if (!watch) return -1;
  if (braid_watch_start(session->loop, watch, fd, events)) {
    give_watch(session, watch);
    return -1;
  }
  curl_multi_assign(session->multi, fd, watch);
  return 0;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct braid_transfer *transfer = context;
  struct braid_http_session *session = transfer->session;
  answer_lookup(transfer);
  int fd = braid_socket_open(address->family, address->socktype, address->protocol);
  if (fd < 0) {
    transfer->starved = fd == -EMFILE || fd == -ENFILE;
    return CURL_SOCKET_BAD;
  }
  session->sockets++;
  if (!transfer->bound) session->bound++;
  transfer->bound = true;
  return fd;
}

static int on_close(void *context, curl_socket_t fd) {
  struct braid_http_session *session = context;
  session->sockets--;
  return close(fd);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* A request is about to be sent. When a kept connection ends before the response, libcurl sends the request again. If
 * it is not idempotent, this aborts the second try. */
static int on_connection(void *context, char *there, char *here, int port_there, int port_here) {
  (void)there, (void)here, (void)port_there, (void)port_here;
  struct braid_transfer *transfer = context;
  answer_lookup(transfer);
  transfer->connected = true;
  transfer->repeated = transfer->asked && !transfer->repeatable;
  transfer->asked = true;
  return transfer->repeated ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

static size_t on_header(char *line, size_t one, size_t size, void *context) {
  (void)one;
  struct braid_transfer *transfer = context;
  bool begun = transfer->response.begun;
  transfer->asked = false;
  if (!braid_response_head(&transfer->response, line, size)) return 0;
  if (transfer->stream && !begun && transfer->response.begun) tell(transfer, BRAID_OK);
  return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *context) {
  (void)one;
  struct braid_transfer *transfer = context;
  size_t there = transfer->response.body.size;
  if (transfer->stream && there > 0 && there + size > WINDOW) {
    transfer->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!braid_response_body(&transfer->response, data, size)) return 0;
  if (transfer->stream) tell(transfer, BRAID_OK);
  return size;
}

/* ---- the easy handle ------------------------------------------------------------------------------------------ */

/* If the system's certificates are in one file, this disables their folder: libcurl reads the file once for all
 * connections, but the folder for each connection. */
static void use_bundle(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075700
  char *bundle = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &bundle) != CURLE_OK || !bundle || access(bundle, R_OK)) return;
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
#else
  (void)easy;
#endif
}

/* Sets the options that all requests of the session share. */
static void set_constants(struct braid_transfer *transfer) {
  struct braid_http_session *session = transfer->session;
  CURL *easy = transfer->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
  curl_easy_setopt(easy, CURLOPT_SHARE, session->shared);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, session);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "braid");
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (session->cookies) curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
  use_bundle(easy);
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connection);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancel does not wait for libcurl's look-up thread */
#endif
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* Only a reset brings the system's certificates back. */
static CURLcode set_certificates(struct braid_transfer *transfer, const char *ca_file) {
  if (same_text(transfer->ca_file, ca_file)) return CURLE_OK;
  curl_easy_setopt(transfer->easy, CURLOPT_COOKIEFILE, NULL); /* or the reset leaks memory (libcurl 7.88) */
  curl_easy_reset(transfer->easy);
  set_constants(transfer);
  free(transfer->ca_file);
  transfer->ca_file = NULL;
  if (!ca_file) return CURLE_OK;
  transfer->ca_file = strdup(ca_file);
  if (!transfer->ca_file) return CURLE_OUT_OF_MEMORY;
  curl_easy_setopt(transfer->easy, CURLOPT_CAPATH, NULL);
  return curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, ca_file);
}

/* The handle uses the form until the release. */
static CURLcode attach_form(struct braid_transfer *transfer, const struct braid_request *request) {
  transfer->form = curl_mime_init(transfer->easy);
  if (!transfer->form) return CURLE_OUT_OF_MEMORY;
  CURLcode code = braid_request_fill(request, transfer->form, transfer->text);
  return code == CURLE_OK ? curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, transfer->form) : code;
}

static void detach_form(struct braid_transfer *transfer) {
  if (!transfer->form) return;
  curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, NULL);
  curl_mime_free(transfer->form);
  transfer->form = NULL;
}

/* The lists stand in the handle until the release. */
static void free_lists(struct braid_transfer *transfer) {
  curl_slist_free_all(transfer->headers);
  curl_slist_free_all(transfer->ways);
  transfer->headers = transfer->ways = NULL;
}

static CURLcode configure(struct braid_transfer *transfer, const struct braid_request *request) {
  struct braid_http_session *session = transfer->session;
  transfer->text[0] = '\0';
  braid_response_reset(&transfer->response, request->max_body, request->follows);
  transfer->stream = request->stream;
  transfer->done = transfer->paused = transfer->starved = transfer->asked = transfer->repeated = false;
  transfer->repeatable = request->repeatable;
  transfer->tried = transfer->connected = false;
  session->requests++;
  transfer->headers = request->headers;
  CURLcode code = set_certificates(transfer, request->ca_file);
  if (code != CURLE_OK) return code;
  /* When no connection can be idle, this spares libcurl a search among thousands that are in use. */
  bool fresh = braid_request_plain(request) && !session->limited && session->sockets == session->bound;
  curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  if (!braid_request_split(request, &transfer->ways)) return CURLE_OUT_OF_MEMORY;
  curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->ways);
  code = braid_request_apply(request, transfer->easy);
  return code == CURLE_OK && request->part_count > 0 ? attach_form(transfer, request) : code;
}

/* ---- look-ups ------------------------------------------------------------------------------------------------- */

/* Admits the transfer, or holds it while another one looks the same name up. */
static void line_up(struct braid_transfer *transfer, const struct braid_request *request) {
  struct braid_http_session *session = transfer->session;
  size_t size = LIBCURL_VERSION_NUM >= 0x075000 ? braid_request_lookup(request) : 0;
  if (size > 0)
    transfer->lookup = braid_lookup_join(&session->lookups, request->url, size, &transfer->turn, &session->admitted);
  else
    braid_list_push(&session->admitted, &transfer->turn);
}

/* ---- transfers ------------------------------------------------------------------------------------------------ */

static void destroy(struct braid_transfer *transfer) {
  braid_list_remove(&transfer->link);
  detach_form(transfer);
  curl_easy_cleanup(transfer->easy);
  free_lists(transfer);
  braid_response_term(&transfer->response);
  free(transfer->ca_file);
  free(transfer);
}

static struct braid_transfer *new_transfer(struct braid_http_session *session) {
  struct braid_transfer *transfer = calloc(1, sizeof *transfer);
  if (!transfer) return NULL;
  transfer->session = session;
  transfer->easy = curl_easy_init();
  if (!transfer->easy) {
    free(transfer);
    return NULL;
  }
  braid_list_init(&transfer->link);
  braid_list_init(&transfer->turn);
  set_constants(transfer);
  return transfer;
}

static struct braid_transfer *take_transfer(struct braid_http_session *session) {
  struct braid_list *link = session->idle.prev; /* the last one used, because its memory is in the cache */
  if (link == &session->idle) return new_transfer(session);
  braid_list_remove(link);
  session->idle_count--;
  return braid_container(link, struct braid_transfer, link);
}

struct braid_transfer *braid_http_session_start(struct braid_http_session *session,
                                                const struct braid_request *request) {
  struct braid_transfer *transfer = take_transfer(session);
  if (!transfer) {
    curl_slist_free_all(request->headers);
    return NULL;
  }
  braid_list_push(&session->running, &transfer->link);
  transfer->code = configure(transfer, request);
  if (transfer->code != CURLE_OK) {
    transfer->done = true;
    return transfer;
  }
  line_up(transfer, request);
  admit(session);
  return transfer;
}

void braid_transfer_taken(struct braid_transfer *transfer) {
  transfer->response.body.size = 0;
  if (!transfer->paused) return;
  transfer->paused = false;
  braid_broken_pipe_ignore();
  curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
  braid_broken_pipe_heed();
}

static long http_version(const struct braid_transfer *transfer) {
  long version = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
  if (version == CURL_HTTP_VERSION_1_0) return 10;
  if (version == CURL_HTTP_VERSION_1_1) return 11;
  return version == CURL_HTTP_VERSION_2_0 ? 20 : 30;
}

struct braid_transfer_facts braid_transfer_facts(const struct braid_transfer *transfer) {
  static const CURLINFO clocks[BRAID_TRANSFER_TIMES] = {
      [BRAID_TRANSFER_NAME] = CURLINFO_NAMELOOKUP_TIME_T, [BRAID_TRANSFER_CONNECT] = CURLINFO_CONNECT_TIME_T,
      [BRAID_TRANSFER_TLS] = CURLINFO_APPCONNECT_TIME_T,  [BRAID_TRANSFER_BEGIN] = CURLINFO_STARTTRANSFER_TIME_T,
      [BRAID_TRANSFER_END] = CURLINFO_TOTAL_TIME_T,
  };
  struct braid_transfer_facts facts = {.http_version = http_version(transfer)};
  for (int i = 0; i < BRAID_TRANSFER_TIMES; i++) {
    curl_off_t microseconds = 0;
    curl_easy_getinfo(transfer->easy, clocks[i], &microseconds);
    facts.times[i] = (double)microseconds / 1e6;
  }
  long asked = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &asked);
  facts.asked = transfer->tried && asked > 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &facts.status);
  curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &facts.refusal);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &facts.address);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_PORT, &facts.port);
  return facts;
}

static bool write_cookies(const struct braid_transfer *transfer, struct braid_buffer *text) {
  struct curl_slist *lines = NULL;
  curl_easy_getinfo(transfer->easy, CURLINFO_COOKIELIST, &lines);
  bool written = true;
  for (const struct curl_slist *line = lines; line && written; line = line->next)
    written = braid_buffer_append(text, line->data, strlen(line->data)) && braid_buffer_append(text, "\n", 1);
  curl_slist_free_all(lines);
  return written;
}

struct braid_transfer *braid_http_session_cookies(struct braid_http_session *session, bool forget) {
  struct braid_transfer *transfer = take_transfer(session);
  if (!transfer) return NULL;
  braid_list_push(&session->running, &transfer->link);
  braid_response_reset(&transfer->response, 0, false);
  transfer->done = true;
  if (write_cookies(transfer, &transfer->response.body)) {
    if (forget) curl_easy_setopt(transfer->easy, CURLOPT_COOKIELIST, "ALL");
    return transfer;
  }
  braid_transfer_release(transfer);
  return NULL;
}

void braid_transfer_release(struct braid_transfer *transfer) {
  struct braid_http_session *session = transfer->session;
  transfer->waiter = NULL;
  withdraw(transfer);
  abandon_lookup(transfer);
  free_lists(transfer);
  detach_form(transfer);
  braid_response_shrink(&transfer->response);
  if (session->idle_count < MOST_IDLE) {
    braid_list_remove(&transfer->link);
    braid_list_push(&session->idle, &transfer->link);
    session->idle_count++;
  } else {
    destroy(transfer);
  }
  admit(session);
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

static void prepare(void) {
  braid_thread_pin();
  braid_broken_pipe_prepare();
}

static void set_multi(struct braid_http_session *session, long per_host, long total) {
  CURLM *multi = session->multi;
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, session);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, session);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, total > 0 ? total : (long)MOST_CONNECTIONS);
  curl_share_setopt(session->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  if (session->cookies) curl_share_setopt(session->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
}

bool braid_http_session_open(struct braid_http_session *session, struct braid_loop *loop, bool cookies, long per_host,
                             long total) {
  memset(session, 0, sizeof *session);
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (braid_curl_load()) return false;
  pthread_once(&once, prepare);
  session->multi = curl_multi_init();
  session->shared = curl_share_init();
  if (!session->multi || !session->shared) {
    curl_multi_cleanup(session->multi);
    curl_share_cleanup(session->shared);
    return false;
  }
  session->loop = loop;
  session->alarm.fire = on_deadline;
  session->cookies = cookies;
  session->limited = per_host > 0 || total > 0;
  braid_list_init(&session->running);
  braid_list_init(&session->admitted);
  braid_list_init(&session->lookups);
  braid_list_init(&session->idle);
  set_multi(session, per_host, total);
  return true;
}

static void destroy_all(struct braid_list *list) {
  while (!braid_list_empty(list)) destroy(braid_container(list->next, struct braid_transfer, link));
}

void braid_http_session_close(struct braid_http_session *session) {
  if (!session->loop) return;
  for (struct braid_list *link = session->running.next; link != &session->running; link = link->next) {
    struct braid_transfer *transfer = braid_container(link, struct braid_transfer, link);
    withdraw(transfer);
    tell(transfer, BRAID_CLOSED);
  }
  braid_lookup_end_all(&session->lookups);
  destroy_all(&session->running);
  destroy_all(&session->idle);
  braid_broken_pipe_ignore();
  curl_multi_cleanup(session->multi);
  braid_broken_pipe_heed();
  curl_share_cleanup(session->shared);
  braid_alarm_stop(session->loop, &session->alarm);
  while (session->spare) {
    struct braid_watch *watch = session->spare;
    session->spare = watch->next;
    free(braid_container(watch, struct socket_watch, watch));
  }
  session->loop = NULL;
}
