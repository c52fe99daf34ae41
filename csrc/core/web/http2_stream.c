/* SPDX-License-Identifier: MIT
 * The head is written in the form of HTTP/1.1, and read by the same parser. So what that refuses is refused here, too,
 * and whoever handles the request sees no difference. nghttp2 has checked the rest: which pseudo-fields there are, and
 * that no field belongs to a connection. */
#include "core/web/http2_stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/web/syntax.h"

enum { KEPT = 4096 }; /* bytes of a buffer that is kept for the next stream */

void braid_http2_stream_begin(struct braid_http2_stream *stream, struct braid_http2 *http2, int32_t id) {
  struct braid_buffer text = stream->text, pseudo = stream->pseudo, out = stream->out;
  *stream = (struct braid_http2_stream){.http2 = http2, .id = id, .file = -1};
  stream->text = text;
  stream->pseudo = pseudo;
  stream->out = out;
}

static void empty(struct braid_buffer *buffer) {
  buffer->size = 0;
  if (buffer->capacity > KEPT) braid_buffer_term(buffer);
}

void braid_http2_stream_clear(struct braid_http2_stream *stream) {
  if (stream->file >= 0) close(stream->file);
  stream->file = -1;
  empty(&stream->text);
  empty(&stream->pseudo);
  empty(&stream->out);
}

void braid_http2_stream_free(struct braid_http2_stream *stream) {
  braid_http2_stream_clear(stream);
  braid_buffer_term(&stream->text);
  braid_buffer_term(&stream->pseudo);
  braid_buffer_term(&stream->out);
  free(stream);
}

/* ---- the head ------------------------------------------------------------------------------------------------- */

static bool append(struct braid_buffer *buffer, const char *text) {
  return braid_buffer_append(buffer, text, strlen(text));
}

static bool append_pseudo(struct braid_http2_stream *stream, enum braid_http2_pseudo which) {
  const struct braid_part part = stream->parts[which];
  return braid_buffer_append(&stream->text, part.size > 0 ? stream->pseudo.data + part.at : "", part.size);
}

/* Writes the request line, and Host if the pseudo-fields have it. */
static bool write_line(struct braid_http2_stream *stream) {
  stream->has_line = true;
  bool line = append_pseudo(stream, BRAID_HTTP2_METHOD) && append(&stream->text, " ") &&
              append_pseudo(stream, BRAID_HTTP2_PATH) && append(&stream->text, " HTTP/1.1\r\n");
  if (!line || stream->parts[BRAID_HTTP2_AUTHORITY].size == 0) return line;
  return append(&stream->text, "host: ") && append_pseudo(stream, BRAID_HTTP2_AUTHORITY) &&
         append(&stream->text, "\r\n");
}

static bool keep_pseudo(struct braid_http2_stream *stream, const char *name, const char *value, size_t size) {
  static const char *const names[] = {":method", ":path", ":authority"};
  for (int i = 0; i < BRAID_HTTP2_PSEUDOS; i++) {
    if (strcmp(name, names[i]) != 0) continue;
    stream->parts[i] = (struct braid_part){(uint32_t)stream->pseudo.size, (uint32_t)size};
    return braid_buffer_append(&stream->pseudo, value, size);
  }
  return true;
}

/* Host beside :authority must say the same. */
static bool repeats_authority(struct braid_http2_stream *stream, const char *value, size_t size) {
  const struct braid_part part = stream->parts[BRAID_HTTP2_AUTHORITY];
  if (part.size == 0) return false;
  if (part.size != size || memcmp(stream->pseudo.data + part.at, value, size) != 0) stream->refusal = 400;
  return true;
}

static bool add_field(struct braid_http2_stream *stream, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
  if (!stream->has_line && !write_line(stream)) return false;
  if (braid_text_equals(name, name_size, "host") && repeats_authority(stream, value, value_size)) return true;
  return braid_buffer_append(&stream->text, name, name_size) && append(&stream->text, ": ") &&
         braid_buffer_append(&stream->text, value, value_size) && append(&stream->text, "\r\n");
}

void braid_http2_stream_add(struct braid_http2_stream *stream, const char *name, size_t name_size, const char *value,
                            size_t value_size, size_t most) {
  if (stream->refusal) return;
  size_t size = stream->text.size + stream->pseudo.size + name_size + value_size;
  bool fits = size <= most;
  bool kept = fits && (name[0] == ':' ? keep_pseudo(stream, name, value, value_size)
                                      : add_field(stream, name, name_size, value, value_size));
  if (!kept && !stream->refusal) stream->refusal = fits ? 503 : 431;
}

unsigned braid_http2_stream_parse(struct braid_http2_stream *stream, struct braid_head *head, size_t most) {
  memset(head, 0, sizeof *head);
  if (!stream->has_line && !write_line(stream)) return 503;
  if (!append(&stream->text, "\r\n")) return 503;
  unsigned outcome = braid_head_parse(head, stream->text.data, stream->text.size, most + 64);
  if (stream->refusal) return stream->refusal;
  if (outcome != 200) return outcome ? outcome : 400;
  return head->size == stream->text.size ? 0 : 400; /* no field may hide an empty line */
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

static ssize_t take_file(struct braid_http2_stream *stream, uint8_t *into, size_t room) {
  if (room > stream->file_left) room = (size_t)stream->file_left;
  ssize_t count = pread(stream->file, into, room, (off_t)stream->file_offset);
  if (count <= 0) return -1; /* it has become shorter */
  stream->file_offset += (uint64_t)count;
  stream->file_left -= (uint64_t)count;
  return count;
}

ssize_t braid_http2_stream_take(struct braid_http2_stream *stream, uint8_t *into, size_t room) {
  size_t here = stream->out.size - stream->taken;
  if (here == 0) return stream->file_left > 0 ? take_file(stream, into, room) : 0;
  if (room > here) room = here;
  memcpy(into, stream->out.data + stream->taken, room);
  stream->taken += room;
  if (stream->taken == stream->out.size) {
    stream->taken = 0;
    empty(&stream->out);
  }
  return (ssize_t)room;
}
