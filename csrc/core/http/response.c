/* SPDX-License-Identifier: MIT
 * Finds out whether a head is the last one. libcurl reports that only with the body, which may come much later. */
#include "core/http/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http/decoder.h"

enum {
  MOST_HEAD = 1024 * 1024,  /* bytes of one response's headers */
  MOST_DROPPED = 64 * 1024, /* bytes of a redirect's body: to read them is cheaper than another connection */
  MOST_KEPT = 64 * 1024     /* bytes of a buffer that is kept for the next request */
};

static void end_body(struct braid_response *response) {
  braid_decoder_close(response->decoder);
  response->decoder = NULL;
  response->bodied = false;
}

void braid_response_reset(struct braid_response *response) {
  end_body(response);
  response->head.size = response->body.size = 0;
  response->received = response->dropped = 0;
  response->status = 0;
  response->length = -1;
  response->problem = response->fault = NULL;
  response->located = response->headed = response->begun = response->oversize = false;
}

void braid_response_term(struct braid_response *response) {
  end_body(response);
  braid_buffer_term(&response->head);
  braid_buffer_term(&response->body);
}

void braid_response_shrink(struct braid_response *response) {
  end_body(response);
  if (response->head.capacity > MOST_KEPT) braid_buffer_term(&response->head);
  if (response->body.capacity > MOST_KEPT) braid_buffer_term(&response->body);
}

/* Whether it is a redirect that is followed. 300, 304, 305 and 306 are none. */
static bool is_redirect(const struct braid_response *response) {
  int status = response->status;
  return response->follows && response->located && ((status >= 301 && status <= 303) || status == 307 || status == 308);
}

/* Whether the head that has just ended is the last one. Another response follows after a 1xx, and may follow after a
 * request for authentication. */
static bool is_last(const struct braid_response *response) {
  int status = response->status;
  return status >= 200 && status != 401 && status != 407 && !is_redirect(response);
}

static void begin_head(struct braid_response *response, const char *line, size_t size) {
  const char *status = memchr(line, ' ', size);
  response->head.size = 0;
  response->status = status && line + size - status > 4 ? atoi(status) : 0;
  response->located = response->headed = false;
  response->length = -1;
  end_body(response);
}

/* Reads a Content-Length: one number, or the same several times. libcurl takes the last of different ones, and forgets
 * what is too large; then nobody knows where the body ends. False: it is wrong. */
static bool read_length(struct braid_response *response, const char *text, size_t size) {
  int64_t length = -1;
  for (size_t i = 0;; i++) {
    bool ends = i == size || text[i] == ',' || text[i] == '\r' || text[i] == '\n';
    if (ends || text[i] == ' ' || text[i] == '\t') {
      if (length >= 0 && response->length >= 0 && length != response->length) return false;
      if (length >= 0) response->length = length;
      if (ends && response->length < 0) return false;
      if (ends && (i == size || text[i] != ',')) return true;
      length = -1;
    } else {
      if (text[i] < '0' || text[i] > '9' || length > (INT64_MAX - 9) / 10) return false;
      length = (length < 0 ? 0 : length * 10) + text[i] - '0';
    }
  }
}

/* A line that goes on where the one before it ended: a header in several lines is one. */
static bool unfold(struct braid_response *response, const char *line, size_t size) {
  struct braid_buffer *head = &response->head;
  while (head->size > 0 && strchr("\r\n \t", head->data[head->size - 1])) head->size--;
  while (size > 0 && (*line == ' ' || *line == '\t')) line++, size--;
  return braid_buffer_append(head, " ", 1) && braid_buffer_append(head, line, size);
}

bool braid_response_head(struct braid_response *response, const char *line, size_t size) {
  bool between = response->headed || response->head.size == 0;
  if (response->begun || (between && (size < 5 || memcmp(line, "HTTP/", 5) != 0))) return true;
  if (between) begin_head(response, line, size);
  if (response->head.size + size > MOST_HEAD) return false;
  if (!between && (*line == ' ' || *line == '\t')) return unfold(response, line, size);
  if (size > 9 && strncasecmp(line, "location:", 9) == 0) response->located = true;
  if (size > 15 && strncasecmp(line, "content-length:", 15) == 0 && !read_length(response, line + 15, size - 15)) {
    response->fault = "the Content-Length of the answer is wrong";
    return false;
  }
  if (*line == '\r' || *line == '\n') {
    response->headed = true;
    response->begun = is_last(response);
  }
  return braid_buffer_append(&response->head, line, size);
}

/* ---- the body ------------------------------------------------------------------------------------------------- */

/* Appends the values of the header to `list`, separated by commas. False: memory is out. */
static bool collect(const struct braid_buffer *head, const char *name, struct braid_buffer *list) {
  size_t length = strlen(name);
  const char *line = head->data, *end = head->data + head->size;
  while (line < end) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    size_t size = (size_t)((stop ? stop : end) - line);
    if (size > length && strncasecmp(line, name, length) == 0 && line[length] == ':') {
      while (size > 0 && strchr("\r\n", line[size - 1])) size--;
      if (!braid_buffer_append(list, line + length + 1, size - length - 1) || !braid_buffer_append(list, ",", 1))
        return false;
    }
    line = stop ? stop + 1 : end;
  }
  return true;
}

/* The body of the last head begins. */
static void begin_body(struct braid_response *response) {
  struct braid_buffer codings = {0};
  response->begun = response->bodied = true;
  if (!response->decodes) return;
  if (!collect(&response->head, "content-encoding", &codings))
    response->problem = "out of memory";
  else if (codings.size > 0)
    response->decoder = braid_decoder_open(codings.data, codings.size, &response->problem);
  braid_buffer_term(&codings);
}

/* Counts what was added since the body had that size. */
static bool count(struct braid_response *response, size_t before) {
  response->received += (int64_t)(response->body.size - before);
  response->oversize = response->max_body > 0 && response->received > response->max_body;
  return !response->oversize;
}

/* Decompresses until the window is full, in steps, so that the limit of the body is not passed by much. */
static bool decode(struct braid_response *response) {
  enum { STEP = 256 * 1024 };
  struct braid_buffer *body = &response->body;
  while (body->size < response->window) {
    size_t before = body->size, room = response->window - before;
    response->problem = braid_decoder_pull(response->decoder, body, before + (room < STEP ? room : STEP));
    if (!count(response, before) || response->problem) return false;
    if (body->size == before) break;
  }
  return true;
}

bool braid_response_crowded(const struct braid_response *response, size_t size) {
  if (response->decoder && braid_decoder_pending(response->decoder)) return true;
  return response->body.size > 0 && response->body.size + size > response->window;
}

bool braid_response_left(const struct braid_response *response) {
  return is_redirect(response) && response->dropped > MOST_DROPPED;
}

bool braid_response_body(struct braid_response *response, const char *data, size_t size) {
  if (is_redirect(response)) {
    response->dropped += (int64_t)size;
    return !braid_response_left(response);
  }
  if (!response->bodied) begin_body(response);
  if (response->problem) return false;
  if (response->decoder) return braid_decoder_feed(response->decoder, data, size) && decode(response);
  size_t before = response->body.size;
  response->oversize = response->max_body > 0 && (int64_t)size > response->max_body - response->received;
  return !response->oversize && braid_buffer_append(&response->body, data, size) && count(response, before);
}

bool braid_response_taken(struct braid_response *response) {
  response->body.size = 0;
  return !response->decoder || decode(response);
}

bool braid_response_close(struct braid_response *response) {
  const struct braid_decoder *decoder = response->decoder;
  if (!decoder || braid_decoder_pending(decoder) || braid_decoder_complete(decoder)) return true;
  response->problem = "the compressed body is cut";
  return false;
}
