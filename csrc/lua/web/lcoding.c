/* SPDX-License-Identifier: MIT
 * Compression of bodies for Lua: userdata "braid.web_encoder" and "braid.web_decoder". The state's own thread; nothing
 * blocks but the loading of the libraries. */
#include <lauxlib.h>

#include "core/http/decoder.h"
#include "core/http/encoder.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

#define ENCODER "braid.web_encoder"
#define DECODER "braid.web_decoder"

/* Their results are collected in `out`, which is kept between calls. */
struct encoder {
  struct braid_encoder *encoder;
  struct braid_buffer out;
};

struct decoder {
  struct braid_decoder *decoder;
  struct braid_buffer out;
};

/* Pushes what was collected. */
static int push_collected(lua_State *L, struct braid_buffer *out) {
  lua_pushlstring(L, out->size ? out->data : "", out->size);
  out->size = 0;
  return 1;
}

/* ---- encoders ------------------------------------------------------------------------------------------------- */

/* web_codings() -> "zstd,br,gzip", "gzip, deflate, br, zstd": those that can be applied, and undone */
static int web_codings(lua_State *L) {
  lua_pushstring(L, braid_encoder_names());
  lua_pushstring(L, braid_coding_names());
  return 2;
}

/* web_encoder(coding, level) -> encoder; nothing when that coding is not here. Level 0: the usual one. */
static int web_encoder(lua_State *L) {
  const char *name = larg_string(L, 1, "coding", NULL);
  int level = (int)larg_between(L, 2, "level", 0, 100);
  struct encoder *encoder = lua_newuserdatauv(L, sizeof *encoder, 0);
  *encoder = (struct encoder){0};
  luaL_setmetatable(L, ENCODER);
  encoder->encoder = braid_encoder_open(name, level);
  return encoder->encoder ? 1 : 0;
}

/* encoder:run(bytes, step) -> compressed bytes. step: 0: more follows; 1: the receiver can read all so far; 2: the end,
 * after which the encoder is closed. */
static int encoder_run(lua_State *L) {
  struct encoder *encoder = larg_object(L, 1, ENCODER);
  size_t size;
  const char *bytes = larg_string(L, 2, "bytes", &size);
  lua_Integer step = larg_between(L, 3, "step", BRAID_ENCODER_GO_ON, BRAID_ENCODER_FINISH);
  if (!encoder->encoder) return lerror_misuse(L, "the encoder has finished");
  if (!braid_encoder_run(encoder->encoder, bytes, size, (enum braid_encoder_step)step, &encoder->out)) {
    encoder->out.size = 0;
    return lerror_memory(L);
  }
  push_collected(L, &encoder->out);
  if (step == BRAID_ENCODER_FINISH) {
    braid_encoder_close(encoder->encoder);
    encoder->encoder = NULL;
    braid_buffer_term(&encoder->out);
  }
  return 1;
}

static int encoder_close(lua_State *L) {
  struct encoder *encoder = larg_object(L, 1, ENCODER);
  braid_encoder_close(encoder->encoder);
  encoder->encoder = NULL;
  braid_buffer_term(&encoder->out);
  return 0;
}

/* ---- decoders ------------------------------------------------------------------------------------------------- */

/* web_decoder(codings) -> decoder, for what Content-Encoding lists; nil when there is nothing to undo; nil and a text
 * when that cannot be undone */
static int web_decoder(lua_State *L) {
  size_t size;
  const char *codings = larg_string(L, 1, "codings", &size), *problem = NULL;
  struct decoder *decoder = lua_newuserdatauv(L, sizeof *decoder, 0);
  *decoder = (struct decoder){0};
  luaL_setmetatable(L, DECODER);
  decoder->decoder = braid_decoder_open(codings, size, &problem);
  if (decoder->decoder) return 1;
  lua_pushnil(L);
  if (problem) lua_pushstring(L, problem);
  return problem ? 2 : 1;
}

static struct decoder *decoder_check(lua_State *L) {
  struct decoder *decoder = larg_object(L, 1, DECODER);
  if (!decoder->decoder) lerror_misuse(L, "the decoder is closed");
  return decoder;
}

/* decoder:feed(bytes) */
static int decoder_feed(lua_State *L) {
  const struct decoder *decoder = decoder_check(L);
  size_t size;
  const char *bytes = larg_string(L, 2, "bytes", &size);
  return braid_decoder_feed(decoder->decoder, bytes, size) ? 0 : lerror_memory(L);
}

/* decoder:pull(size) -> about so many bytes, or fewer when all input is used; nil and a text when it is corrupt */
static int decoder_pull(lua_State *L) {
  struct decoder *decoder = decoder_check(L);
  lua_Integer size = larg_between(L, 2, "size", 1, 1 << 26);
  const char *problem = braid_decoder_pull(decoder->decoder, &decoder->out, (size_t)size);
  if (!problem) return push_collected(L, &decoder->out);
  decoder->out.size = 0;
  lua_pushnil(L);
  lua_pushstring(L, problem);
  return 2;
}

/* decoder:complete() -> whether the input ends where it says it does */
static int decoder_complete(lua_State *L) {
  lua_pushboolean(L, braid_decoder_complete(decoder_check(L)->decoder));
  return 1;
}

static int decoder_close(lua_State *L) {
  struct decoder *decoder = larg_object(L, 1, DECODER);
  braid_decoder_close(decoder->decoder);
  decoder->decoder = NULL;
  braid_buffer_term(&decoder->out);
  return 0;
}

void lcoding_open(lua_State *L) {
  static const luaL_Reg encoder_methods[] = {
      {"run", encoder_run}, {"close", encoder_close}, {"__gc", encoder_close}, {NULL, NULL}};
  static const luaL_Reg decoder_methods[] = {{"feed", decoder_feed},         {"pull", decoder_pull},
                                             {"complete", decoder_complete}, {"close", decoder_close},
                                             {"__gc", decoder_close},        {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"web_codings", web_codings}, {"web_encoder", web_encoder}, {"web_decoder", web_decoder}, {NULL, NULL}};
  sched_class(L, ENCODER, encoder_methods);
  sched_class(L, DECODER, decoder_methods);
  lua_pop(L, 2);
  sched_register(L, functions);
}
