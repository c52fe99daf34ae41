/* SPDX-License-Identifier: MIT
 * wslay reads and writes the frames. It checks their lengths, and that control frames are short and whole; the rest is
 * checked here: masks, reserved bits, opcodes and their order, the limit of a message, UTF-8, codes of a close.
 *
 * A message is checked piece by piece, on its inflated bytes, so what is wrong is found before it is complete. A limit
 * is compared with the announced length of a frame before its payload is kept. */
#include "core/websocket/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include "core/websocket/text_check.h"

enum {
  LEAST_TO_COMPRESS = 64, /* bytes of a message: below it compression does not pay */
  IDLE_BUFFER = 16384,    /* a buffer that is larger is not kept while it is empty */
  MASKS = 64,             /* random bytes that are fetched at once */
  CODE_SIZE = 2,
};

/* A control frame that arrives, or waits to be sent. */
struct control {
  bool waits;
  size_t size;
  char data[BRAID_WEBSOCKET_MOST_CONTROL];
};

struct braid_websocket {
  struct braid_websocket_options options;
  struct wslay_frame_context *frames;
  struct braid_buffer input; /* fed and not read yet: from `read` on */
  size_t read;
  size_t ahead;                        /* bytes that wslay has read and not given yet */
  struct braid_buffer output, scratch; /* scratch: a message in its compressed form */
  bool sent;                           /* the owner has taken the output */
  bool closing, over;                  /* a close was sent or waits; nothing that arrives counts any more */
  struct control pong, close;

  bool in_frame;          /* a frame has arrived in part */
  uint64_t frame_left;    /* bytes of it that are still to come */
  struct control control; /* its payload, if it is a control frame */

  unsigned opcode;             /* of the message that arrives; 0: none */
  bool compressed, delivered;  /* delivered: the message is dropped at the next call */
  uint64_t wire;               /* bytes of its frames so far */
  struct braid_buffer message; /* as much of it as has arrived, inflated */
  size_t checked;              /* bytes of it that are UTF-8 */
  struct braid_deflate deflate, inflate;

  unsigned char masks[MASKS];
  size_t masks_used;
};

/* ---- wslay's callbacks ---------------------------------------------------------------------------------------- */

static ssize_t read_input(uint8_t *into, size_t room, int flags, void *context) {
  (void)flags;
  struct braid_websocket *ws = context;
  size_t count = ws->input.size - ws->read;
  if (count > room) count = room;
  if (count == 0) return -1;
  memcpy(into, ws->input.data + ws->read, count);
  ws->read += count;
  ws->ahead += count;
  return (ssize_t)count;
}

static ssize_t write_output(const uint8_t *data, size_t size, int flags, void *context) {
  (void)flags;
  struct braid_websocket *ws = context;
  return braid_buffer_append(&ws->output, data, size) ? (ssize_t)size : -1;
}

/* A mask must not be foreseeable. */
static int make_mask(uint8_t *mask, size_t size, void *context) {
  struct braid_websocket *ws = context;
  if (ws->masks_used + size > MASKS) {
    if (getentropy(ws->masks, MASKS)) return -1;
    ws->masks_used = 0;
  }
  memcpy(mask, ws->masks + ws->masks_used, size);
  ws->masks_used += size;
  return 0;
}

/* ---- beginning and end ---------------------------------------------------------------------------------------- */

struct braid_websocket *braid_websocket_new(const struct braid_websocket_options *options) {
  static const struct wslay_frame_callbacks callbacks = {write_output, read_input, make_mask};
  struct braid_websocket *ws = calloc(1, sizeof *ws);
  if (!ws) return NULL;
  ws->options = *options;
  ws->deflate.terms = options->out;
  ws->inflate.terms = options->in;
  ws->masks_used = MASKS;
  if (wslay_frame_context_init(&ws->frames, &callbacks, ws)) {
    free(ws);
    return NULL;
  }
  return ws;
}

void braid_websocket_free(struct braid_websocket *ws) {
  if (!ws) return;
  wslay_frame_context_free(ws->frames);
  braid_deflate_term(&ws->deflate);
  braid_inflate_term(&ws->inflate);
  braid_buffer_term(&ws->input);
  braid_buffer_term(&ws->output);
  braid_buffer_term(&ws->scratch);
  braid_buffer_term(&ws->message);
  free(ws);
}

/* Empties a buffer, and frees its memory if that is large. */
static void clear(struct braid_buffer *buffer) {
  buffer->size = 0;
  if (buffer->capacity > IDLE_BUFFER) braid_buffer_term(buffer);
}

bool braid_websocket_feed(struct braid_websocket *ws, const void *data, size_t size) {
  if (ws->over) return true;
  if (ws->read == ws->input.size) ws->input.size = ws->read = 0;
  return braid_buffer_append(&ws->input, data, size);
}

bool braid_websocket_is_fed(const struct braid_websocket *ws) {
  return !ws->over && (ws->ahead > 0 || ws->read < ws->input.size);
}

/* ---- what is sent --------------------------------------------------------------------------------------------- */

static void drop_sent_output(struct braid_websocket *ws) {
  if (!ws->sent) return;
  ws->sent = false;
  clear(&ws->output);
}

static enum braid_status add_frame(struct braid_websocket *ws, unsigned opcode, uint8_t reserved, const char *data,
                                   size_t size) {
  struct wslay_frame_iocb frame = {
      .fin = 1,
      .rsv = reserved,
      .opcode = (uint8_t)opcode,
      .payload_length = size,
      .mask = ws->options.role == BRAID_WEBSOCKET_CLIENT,
      .data = (const uint8_t *)data,
      .data_length = size,
  };
  ssize_t count = wslay_frame_send(ws->frames, &frame);
  return count >= 0 && (size_t)count == size ? BRAID_OK : BRAID_NO_MEMORY;
}

enum braid_status braid_websocket_answer(struct braid_websocket *ws) {
  enum braid_status status = BRAID_OK;
  drop_sent_output(ws);
  if (ws->pong.waits) status = add_frame(ws, WSLAY_PONG, 0, ws->pong.data, ws->pong.size);
  ws->pong.waits = false;
  if (ws->close.waits && status == BRAID_OK)
    status = add_frame(ws, WSLAY_CONNECTION_CLOSE, 0, ws->close.data, ws->close.size);
  ws->close.waits = false;
  return status;
}

static enum braid_status begin_output(struct braid_websocket *ws) {
  return ws->closing ? BRAID_CLOSED : braid_websocket_answer(ws);
}

enum braid_status braid_websocket_send(struct braid_websocket *ws, enum braid_websocket_kind kind, const char *data,
                                       size_t size) {
  unsigned opcode = kind == BRAID_WEBSOCKET_TEXT ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;
  enum braid_status status = begin_output(ws);
  if (status != BRAID_OK) return status;
  if (!ws->options.deflate || size < LEAST_TO_COMPRESS || !braid_deflate_can(&ws->options.out))
    return add_frame(ws, opcode, 0, data, size);
  clear(&ws->scratch);
  status = braid_deflate_message(&ws->deflate, data, size, &ws->scratch);
  if (status != BRAID_OK) return status;
  return add_frame(ws, opcode, WSLAY_RSV1_BIT, ws->scratch.data, ws->scratch.size);
}

enum braid_status braid_websocket_ping(struct braid_websocket *ws, const char *data, size_t size) {
  enum braid_status status = begin_output(ws);
  return status == BRAID_OK ? add_frame(ws, WSLAY_PING, 0, data, size) : status;
}

void braid_websocket_close(struct braid_websocket *ws, unsigned code, const char *reason, size_t size) {
  if (ws->closing) return;
  ws->closing = ws->close.waits = true;
  ws->close.size = 0;
  if (code == BRAID_CLOSE_NO_CODE) return;
  ws->close.data[0] = (char)(code >> 8);
  ws->close.data[1] = (char)code;
  if (size > BRAID_WEBSOCKET_MOST_REASON) size = BRAID_WEBSOCKET_MOST_REASON;
  if (size > 0) memcpy(ws->close.data + CODE_SIZE, reason, size);
  ws->close.size = CODE_SIZE + size;
}

bool braid_websocket_is_closing(const struct braid_websocket *ws) { return ws->closing; }

bool braid_websocket_has_answer(const struct braid_websocket *ws) { return ws->pong.waits || ws->close.waits; }

const char *braid_websocket_output(struct braid_websocket *ws, size_t *size) {
  drop_sent_output(ws);
  ws->sent = true;
  *size = ws->output.size;
  return ws->output.data;
}

size_t braid_websocket_backlog(const struct braid_websocket *ws) { return ws->sent ? 0 : ws->output.size; }

/* ---- what arrives --------------------------------------------------------------------------------------------- */

/* Ends the connection by a close with this code. */
static enum braid_status fail(struct braid_websocket *ws, struct braid_websocket_event *event, unsigned code,
                              const char *text) {
  size_t size = strlen(text);
  ws->over = true;
  clear(&ws->message);
  braid_websocket_close(ws, code, text, size);
  *event = (struct braid_websocket_event){BRAID_WEBSOCKET_FAILURE, text, size, code};
  return BRAID_OK;
}

bool braid_websocket_code_is_valid(unsigned code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != BRAID_CLOSE_NO_CODE && code != BRAID_CLOSE_ABNORMAL;
}

static enum braid_status take_close(struct braid_websocket *ws, struct braid_websocket_event *event) {
  const char *data = ws->control.data;
  size_t size = ws->control.size, checked = 0;
  unsigned code = BRAID_CLOSE_NO_CODE;
  if (size == 1) return fail(ws, event, BRAID_CLOSE_PROTOCOL, "a close with half a code");
  if (size >= CODE_SIZE) {
    code = (unsigned)(unsigned char)data[0] << 8 | (unsigned char)data[1];
    if (!braid_websocket_code_is_valid(code)) return fail(ws, event, BRAID_CLOSE_PROTOCOL, "a close with a bad code");
    data += CODE_SIZE;
    size -= CODE_SIZE;
  }
  if (!braid_text_check(data, size, &checked) || checked < size)
    return fail(ws, event, BRAID_CLOSE_BAD_DATA, "a close with a reason that is not UTF-8");
  ws->over = true;
  braid_websocket_close(ws, code, NULL, 0);
  *event = (struct braid_websocket_event){BRAID_WEBSOCKET_CLOSE, data, size, code};
  return BRAID_OK;
}

static enum braid_status take_control(struct braid_websocket *ws, unsigned opcode,
                                      struct braid_websocket_event *event) {
  if (opcode == WSLAY_CONNECTION_CLOSE) return take_close(ws, event);
  if (opcode == WSLAY_PONG) {
    *event = (struct braid_websocket_event){BRAID_WEBSOCKET_PONG, ws->control.data, ws->control.size, 0};
  } else if (!ws->closing) { /* of several pings the last one needs an answer */
    ws->pong = ws->control;
    ws->pong.waits = true;
  }
  return BRAID_OK;
}

static bool is_compressed(const struct wslay_frame_iocb *frame) { return frame->rsv & WSLAY_RSV1_BIT; }

/* What is wrong with the header of a frame; NULL: nothing. */
static const char *find_fault(const struct braid_websocket *ws, const struct wslay_frame_iocb *frame) {
  bool from_client = ws->options.role == BRAID_WEBSOCKET_SERVER;
  if (frame->mask != from_client) return from_client ? "a frame without a mask" : "a frame with a mask";
  if (wslay_is_ctrl_frame(frame->opcode)) {
    if (frame->rsv) return "a control frame with a reserved bit";
    return frame->opcode > WSLAY_PONG ? "a frame of an unknown kind" : NULL;
  }
  if (frame->opcode > WSLAY_BINARY_FRAME) return "a frame of an unknown kind";
  if (frame->opcode == WSLAY_CONTINUATION_FRAME && !ws->opcode) return "a continuation of nothing";
  if (frame->opcode != WSLAY_CONTINUATION_FRAME && ws->opcode) return "a new message inside another one";
  uint8_t allowed = ws->options.deflate && frame->opcode != WSLAY_CONTINUATION_FRAME ? WSLAY_RSV1_BIT : 0;
  return frame->rsv & ~allowed ? "a frame with a reserved bit" : NULL;
}

/* Whether the message gets too long with a frame. What is compressed may be a little longer than its content. */
static bool is_too_long(const struct braid_websocket *ws, uint64_t length) {
  uint64_t most = ws->options.max_message;
  if (ws->compressed) most += most / 8 + 65536;
  return length > most - ws->wire;
}

/* The header of a frame. */
static enum braid_status begin_frame(struct braid_websocket *ws, const struct wslay_frame_iocb *frame,
                                     struct braid_websocket_event *event) {
  const char *fault = find_fault(ws, frame);
  if (fault) return fail(ws, event, BRAID_CLOSE_PROTOCOL, fault);
  ws->in_frame = true;
  ws->frame_left = frame->payload_length;
  ws->control.size = 0;
  if (wslay_is_ctrl_frame(frame->opcode)) return BRAID_OK;
  if (frame->opcode != WSLAY_CONTINUATION_FRAME) {
    ws->opcode = frame->opcode;
    ws->compressed = is_compressed(frame);
    ws->wire = 0;
  }
  if (is_too_long(ws, frame->payload_length)) return fail(ws, event, BRAID_CLOSE_TOO_LONG, "the message is too long");
  ws->wire += frame->payload_length;
  return BRAID_OK;
}

static enum braid_status add_to_message(struct braid_websocket *ws, const struct wslay_frame_iocb *piece, bool last) {
  const char *data = (const char *)piece->data;
  if (!ws->compressed) return braid_buffer_append(&ws->message, data, piece->data_length) ? BRAID_OK : BRAID_NO_MEMORY;
  return braid_inflate_piece(&ws->inflate, data, piece->data_length, last, ws->options.max_message, &ws->message);
}

/* A message, or what there is of it. */
static enum braid_status check_message(struct braid_websocket *ws, const char *data, size_t size, bool last,
                                       struct braid_websocket_event *event) {
  if (ws->opcode == WSLAY_TEXT_FRAME)
    if (!braid_text_check(data, size, &ws->checked) || (last && ws->checked < size))
      return fail(ws, event, BRAID_CLOSE_BAD_DATA, "a text that is not UTF-8");
  if (!last) return BRAID_OK;
  enum braid_websocket_kind kind = ws->opcode == WSLAY_TEXT_FRAME ? BRAID_WEBSOCKET_TEXT : BRAID_WEBSOCKET_BINARY;
  *event = (struct braid_websocket_event){kind, data, size, 0};
  ws->opcode = 0;
  ws->delivered = true;
  return BRAID_OK;
}

static enum braid_status take_data(struct braid_websocket *ws, const struct wslay_frame_iocb *piece, bool whole,
                                   struct braid_websocket_event *event) {
  bool last = piece->fin && !ws->in_frame;
  if (whole && last && ws->message.size == 0 && !ws->compressed)
    return check_message(ws, (const char *)piece->data, piece->data_length, true, event);
  enum braid_status status = add_to_message(ws, piece, last);
  if (status == BRAID_FULL) return fail(ws, event, BRAID_CLOSE_TOO_LONG, "the message is too long");
  if (status == BRAID_BROKEN) return fail(ws, event, BRAID_CLOSE_BAD_DATA, "a message that cannot be inflated");
  if (status != BRAID_OK) return status;
  return check_message(ws, ws->message.data, ws->message.size, last, event);
}

/* The bytes of a frame's header: wslay refuses lengths that are longer than needed. */
static size_t header_size(const struct wslay_frame_iocb *frame) {
  size_t length = frame->payload_length < 126 ? 0 : frame->payload_length <= UINT16_MAX ? 2 : 8;
  return 2 + length + (frame->mask ? 4 : 0);
}

/* A piece of a frame: wslay gives the header's fields with each one. */
static enum braid_status take_piece(struct braid_websocket *ws, const struct wslay_frame_iocb *piece,
                                    struct braid_websocket_event *event) {
  bool whole = !ws->in_frame && piece->data_length == piece->payload_length;
  ws->ahead -= piece->data_length + (ws->in_frame ? 0 : header_size(piece));
  if (!ws->in_frame) {
    enum braid_status status = begin_frame(ws, piece, event);
    if (status != BRAID_OK || ws->over) return status;
  }
  ws->frame_left -= piece->data_length;
  ws->in_frame = ws->frame_left > 0;
  if (!wslay_is_ctrl_frame(piece->opcode)) return take_data(ws, piece, whole, event);
  memcpy(ws->control.data + ws->control.size, piece->data, piece->data_length);
  ws->control.size += piece->data_length;
  return ws->in_frame ? BRAID_OK : take_control(ws, piece->opcode, event);
}

static void drop_delivered(struct braid_websocket *ws) {
  if (!ws->delivered) return;
  ws->delivered = false;
  ws->checked = 0;
  clear(&ws->message);
}

enum braid_status braid_websocket_next(struct braid_websocket *ws, struct braid_websocket_event *event) {
  *event = (struct braid_websocket_event){.kind = BRAID_WEBSOCKET_NOTHING};
  drop_delivered(ws);
  while (!ws->over && event->kind == BRAID_WEBSOCKET_NOTHING) {
    struct wslay_frame_iocb piece = {0};
    ssize_t count = wslay_frame_recv(ws->frames, &piece);
    if (count == WSLAY_ERR_WANT_READ) break;
    if (count < 0) return fail(ws, event, BRAID_CLOSE_PROTOCOL, "a frame with a bad header");
    enum braid_status status = take_piece(ws, &piece, event);
    if (status != BRAID_OK) return status;
  }
  if (ws->read == ws->input.size) {
    ws->read = 0;
    clear(&ws->input);
  }
  return BRAID_OK;
}

static bool is_utf8(const char *text, size_t size) {
  size_t checked = 0;
  return braid_text_check(text, size, &checked) && checked == size;
}

const struct braid_websocket_functions braid_websocket_functions = {
    .feed = braid_websocket_feed,
    .is_fed = braid_websocket_is_fed,
    .next = braid_websocket_next,
    .send = braid_websocket_send,
    .output = braid_websocket_output,
    .backlog = braid_websocket_backlog,
    .has_answer = braid_websocket_has_answer,
    .is_utf8 = is_utf8,
};
