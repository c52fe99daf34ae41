/* SPDX-License-Identifier: MIT
 * A chain of stages. The first one reads what was fed; each other one what the one before it writes. */
#include "core/http/decoder.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http/coding.h"

enum {
  MOST_STAGES = 5, /* more than that is an attack */
  PIECE = 16 * 1024
};

struct stage {
  const struct braid_coding *coding;
  void *state;
  const char *in; /* input that is left; of all stages but the first it is in `piece` */
  size_t in_size;
  bool ended, full; /* full: the last call ended because there was no more room, so there may be more output */
  char *piece;
};

struct braid_decoder {
  struct braid_buffer input;
  unsigned count;
  bool fed;
  struct stage stages[MOST_STAGES];
};

static const char OUT_OF_MEMORY[] = "out of memory";
static const char CORRUPT[] = "the compressed body is corrupt";
static const char UNKNOWN[] = "the encoding of the body is unknown";

/* ---- making --------------------------------------------------------------------------------------------------- */

/* The last coding that was applied is undone first: it is listed last. */
static const char *add(struct braid_decoder *decoder, const char *name, size_t size) {
  if ((size == 8 && strncasecmp(name, "identity", size) == 0) || (size == 4 && strncasecmp(name, "none", size) == 0))
    return NULL;
  const struct braid_coding *coding = braid_coding_find(name, size);
  if (!coding || decoder->count == MOST_STAGES) return UNKNOWN;
  memmove(&decoder->stages[1], &decoder->stages[0], decoder->count * sizeof *decoder->stages);
  decoder->stages[0] = (struct stage){.coding = coding, .state = coding->open()};
  decoder->count++;
  return decoder->stages[0].state ? NULL : OUT_OF_MEMORY;
}

static const char *add_all(struct braid_decoder *decoder, const char *codings, size_t size) {
  const char *problem = NULL, *end = codings + size;
  while (codings < end && !problem) {
    while (codings < end && strchr(" \t,", *codings)) codings++;
    const char *name = codings;
    while (codings < end && !strchr(" \t,", *codings)) codings++;
    if (codings > name) problem = add(decoder, name, (size_t)(codings - name));
  }
  for (unsigned i = 1; i < decoder->count && !problem; i++) {
    decoder->stages[i].piece = malloc(PIECE);
    if (!decoder->stages[i].piece) problem = OUT_OF_MEMORY;
  }
  return problem;
}

struct braid_decoder *braid_decoder_open(const char *codings, size_t size, const char **problem) {
  struct braid_decoder *decoder = calloc(1, sizeof *decoder);
  *problem = decoder ? add_all(decoder, codings, size) : OUT_OF_MEMORY;
  if (decoder && !*problem && decoder->count > 0) return decoder;
  braid_decoder_close(decoder);
  return NULL;
}

void braid_decoder_close(struct braid_decoder *decoder) {
  if (!decoder) return;
  for (unsigned i = 0; i < decoder->count; i++) {
    struct stage *stage = &decoder->stages[i];
    if (stage->state) stage->coding->close(stage->state);
    free(stage->piece);
  }
  braid_buffer_term(&decoder->input);
  free(decoder);
}

/* ---- decoding ------------------------------------------------------------------------------------------------- */

bool braid_decoder_feed(struct braid_decoder *decoder, const char *data, size_t size) {
  struct stage *first = &decoder->stages[0];
  struct braid_buffer *input = &decoder->input;
  if (size == 0) return true;
  if (first->in_size > 0) memmove(input->data, first->in, first->in_size);
  input->size = first->in_size;
  if (!braid_buffer_append(input, data, size)) return false;
  first->in = input->data;
  first->in_size = input->size;
  decoder->fed = true;
  return true;
}

/* Writes output of a stage. Returns how much; 0: the input is used; -1: it is corrupt. */
static int64_t draw(struct braid_decoder *decoder, unsigned number, char *out, size_t room) {
  struct stage *stage = &decoder->stages[number];
  for (;;) {
    struct braid_coding_flow flow = {stage->in, stage->in_size, out, room};
    if ((stage->in_size > 0 || stage->full) && !stage->coding->run(stage->state, &flow, &stage->ended)) return -1;
    stage->in = flow.in;
    stage->in_size = flow.in_size;
    stage->full = flow.out_size == 0;
    if (flow.out_size < room) return (int64_t)(room - flow.out_size);
    if (number == 0) return 0;
    int64_t more = draw(decoder, number - 1, stage->piece, PIECE);
    if (more <= 0) return more;
    stage->in = stage->piece;
    stage->in_size = (size_t)more;
  }
}

const char *braid_decoder_pull(struct braid_decoder *decoder, struct braid_buffer *out, size_t until) {
  while (out->size < until) {
    char *room = braid_buffer_reserve(out, PIECE);
    if (!room) return OUT_OF_MEMORY;
    int64_t size = draw(decoder, decoder->count - 1, room, PIECE);
    if (size < 0) return CORRUPT;
    if (size == 0) break;
    out->size += (size_t)size;
  }
  return NULL;
}

bool braid_decoder_pending(const struct braid_decoder *decoder) {
  for (unsigned i = 0; i < decoder->count; i++)
    if (decoder->stages[i].in_size > 0 || decoder->stages[i].full) return true;
  return false;
}

bool braid_decoder_complete(const struct braid_decoder *decoder) {
  if (!decoder->fed) return true;
  for (unsigned i = 0; i < decoder->count; i++)
    if (!decoder->stages[i].ended) return false;
  return true;
}
