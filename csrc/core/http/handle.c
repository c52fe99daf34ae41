/* SPDX-License-Identifier: MIT
 * libcurl's callbacks only change buffers and flags, and end waits: they neither add nor remove transfers. */
#include "core/http/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/http/broken_pipe.h"
#include "core/http/lookup.h"
#include "core/net/socket.h"

enum { WINDOW = 128 * 1024 /* bytes of a streamed body that may wait; then the transfer pauses */ };

void braid_handle_answer_lookup(struct braid_transfer *transfer) {
  struct braid_lookup *lookup = transfer->lookup;
  if (!lookup) return;
  transfer->lookup = NULL;
  braid_lookup_answer(lookup, &transfer->session->admitted);
}

/* ---- callbacks of libcurl ------------------------------------------------------------------------------------- */

/* The transfer has gone on. */
static void stir(struct braid_transfer *transfer) {
  if (braid_patience_limited(&transfer->patience)) transfer->patience.moved = braid_time_now();
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct braid_transfer *transfer = context;
  struct braid_http_session *session = transfer->session;
  braid_handle_answer_lookup(transfer);
  int fd = braid_socket_open(address->family, address->socktype, address->protocol);
  if (fd < 0) {
    transfer->starved = fd == -EMFILE || fd == -ENFILE;
    return CURL_SOCKET_BAD;
  }
  transfer->patience.placed = true;
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
  braid_handle_answer_lookup(transfer);
  transfer->patience.placed = transfer->patience.connected = true;
  stir(transfer);
  transfer->repeated = transfer->asked && !transfer->repeatable;
  transfer->asked = true;
  return transfer->repeated ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

/* A name is being looked up: there was room for another connection. */
static int on_lookup(void *state, void *unused, void *context) {
  (void)state, (void)unused;
  struct braid_transfer *transfer = context;
  transfer->patience.placed = true;
  return 0;
}

static size_t on_header(char *line, size_t one, size_t size, void *context) {
  (void)one;
  struct braid_transfer *transfer = context;
  bool begun = transfer->response.begun;
  transfer->asked = false;
  stir(transfer);
  if (!braid_response_head(&transfer->response, line, size)) return 0;
  if (transfer->response.begun) transfer->patience.sending = false;
  if (transfer->stream && !begun && transfer->response.begun) braid_transfer_tell(transfer, BRAID_OK);
  return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *context) {
  (void)one;
  struct braid_transfer *transfer = context;
  if (braid_response_crowded(&transfer->response, size)) {
    transfer->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (!braid_response_body(&transfer->response, data, size)) return 0;
  if (transfer->stream) braid_transfer_tell(transfer, BRAID_OK);
  return size;
}

static size_t on_send(char *to, size_t one, size_t room, void *context) {
  (void)one;
  struct braid_transfer *transfer = context;
  size_t size = braid_upload_take(&transfer->upload, to, room);
  stir(transfer);
  if (braid_upload_hungry(&transfer->upload)) braid_transfer_tell_giver(transfer, BRAID_OK);
  if (transfer->upload.dry) transfer->patience.sending = false;
  return transfer->upload.starved ? CURL_READFUNC_PAUSE : size;
}

static int on_progress(void *context, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent) {
  (void)to_receive;
  struct braid_transfer *transfer = context;
  struct braid_patience *patience = &transfer->patience;
  if (patience->received != received || patience->sent != sent) stir(transfer);
  if (patience->sending && to_send > 0 && sent >= to_send) patience->sending = false;
  patience->received = received;
  patience->sent = sent;
  return 0;
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
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
  curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L); /* see decoder.h: libcurl takes half a body for a whole */
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, session);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
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

static void forget_url(struct braid_transfer *transfer) {
  free(transfer->url);
  transfer->url = NULL;
}

/* Gives libcurl the URL in parts: else it would read it, and write it anew, for each transfer. If it cannot be read,
 * libcurl says so when the transfer runs. */
static CURLcode set_url(struct braid_transfer *transfer, const char *url) {
  if (transfer->url && strcmp(transfer->url, url) == 0) return CURLE_OK;
  forget_url(transfer);
  if (!transfer->place) transfer->place = curl_url();
  char *copy = strdup(url);
  if (!copy || !transfer->place) {
    free(copy);
    return CURLE_OUT_OF_MEMORY;
  }
  bool read = curl_url_set(transfer->place, CURLUPART_URL, url, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == 0;
  if (read) transfer->url = copy;
  if (!read) free(copy);
  curl_easy_setopt(transfer->easy, CURLOPT_CURLU, read ? transfer->place : NULL);
  return curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* Only a reset brings the system's certificates back. */
static CURLcode set_certificates(struct braid_transfer *transfer, const char *ca_file) {
  if (same_text(transfer->ca_file, ca_file)) return CURLE_OK;
  curl_easy_setopt(transfer->easy, CURLOPT_COOKIEFILE, NULL); /* or the reset leaks memory (libcurl 7.88) */
  curl_easy_reset(transfer->easy);
  set_constants(transfer);
  forget_url(transfer);
  free(transfer->ca_file);
  transfer->ca_file = NULL;
  if (!ca_file) return CURLE_OK;
  transfer->ca_file = strdup(ca_file);
  if (!transfer->ca_file) return CURLE_OUT_OF_MEMORY;
  curl_easy_setopt(transfer->easy, CURLOPT_CAPATH, NULL);
  return curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, ca_file);
}

bool braid_handle_open(struct braid_transfer *transfer) {
  transfer->easy = curl_easy_init();
  if (transfer->easy) set_constants(transfer);
  return transfer->easy;
}

void braid_handle_close(struct braid_transfer *transfer) {
  curl_easy_cleanup(transfer->easy);
  curl_url_cleanup(transfer->place);
  free(transfer->url);
  free(transfer->ca_file);
}

static void reset(struct braid_transfer *transfer, const struct braid_request *request) {
  struct braid_response *response = &transfer->response;
  transfer->text[0] = '\0';
  braid_response_reset(response);
  response->max_body = request->max_body;
  response->window = request->stream ? WINDOW : SIZE_MAX;
  response->follows = request->follows;
  response->decodes = request->decode;
  braid_upload_reset(&transfer->upload);
  transfer->patience = (struct braid_patience){
      .limits = request->patience, .moved = braid_time_now(), .sending = request->upload || request->body_size > 0};
  transfer->stream = request->stream;
  transfer->done = transfer->paused = transfer->starved = transfer->asked = transfer->repeated = false;
  transfer->repeatable = request->repeatable;
  transfer->tried = false;
  transfer->unwatched = -1;
}

/* Whether it is sure to need a connection of its own. When no connection can be idle, this spares libcurl a search
 * among thousands that are in use. */
static bool needs_fresh(const struct braid_http_session *session, const struct braid_request *request) {
  if (braid_request_lonely(request)) return true;
  return braid_request_plain(request) && !session->limited && session->sockets == session->bound;
}

CURLcode braid_handle_configure(struct braid_transfer *transfer, const struct braid_request *request) {
  bool changed = transfer->configured == 0 || transfer->configured != request->serial;
  reset(transfer, request);
  transfer->configured = 0;
  CURLcode code = changed ? set_certificates(transfer, request->ca_file) : CURLE_OK;
  if (code == CURLE_OK) code = set_url(transfer, request->url);
  if (code == CURLE_OK) code = braid_request_apply(request, transfer->easy, changed);
  if (code != CURLE_OK) return code;
  curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, needs_fresh(transfer->session, request) ? 1L : 0L);
  transfer->configured = request->serial;
  return CURLE_OK;
}

void braid_handle_pause(struct braid_transfer *transfer) {
  int directions = (transfer->paused ? CURLPAUSE_RECV : 0) | (transfer->upload.starved ? CURLPAUSE_SEND : 0);
  stir(transfer);
  braid_broken_pipe_ignore();
  curl_easy_pause(transfer->easy, directions);
  braid_broken_pipe_heed();
}
