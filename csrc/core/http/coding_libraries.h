/* SPDX-License-Identifier: MIT
 * The libraries that undo the codings of bodies, and those that apply them. libcurl brings most of the first, so
 * loading them costs little. Each kind is loaded together, when the first name of a coding is needed. */
#ifndef BRAID_CODING_LIBRARIES_H
#define BRAID_CODING_LIBRARIES_H

#include <pthread.h>

#include "core/base/base.h"

#if __has_include(<zlib.h>)
#include <zlib.h>
#define BRAID_HAVE_ZLIB 1
#endif
#if __has_include(<brotli/decode.h>)
#include <brotli/decode.h>
#define BRAID_HAVE_BROTLI 1
#endif
#if __has_include(<brotli/encode.h>)
#include <brotli/encode.h>
#define BRAID_HAVE_BROTLI_ENCODER 1
#endif
#if __has_include(<zstd.h>)
#include <zstd.h>
#define BRAID_HAVE_ZSTD 1
#endif

/* Written once. */
struct braid_coding_libraries {
  pthread_once_t once, encoders_once;
#ifdef BRAID_HAVE_ZLIB
  struct {
    __typeof__(inflateInit2_) *init;
    __typeof__(inflate) *run;
    __typeof__(inflateReset) *reset;
    __typeof__(inflateEnd) *end;
  } zlib;
  struct {
    __typeof__(deflateInit2_) *init;
    __typeof__(deflate) *run;
    __typeof__(deflateEnd) *end;
  } deflater;
#endif
#ifdef BRAID_HAVE_BROTLI
  struct {
    __typeof__(BrotliDecoderCreateInstance) *open;
    __typeof__(BrotliDecoderDecompressStream) *run;
    __typeof__(BrotliDecoderDestroyInstance) *close;
  } brotli;
#endif
#ifdef BRAID_HAVE_BROTLI_ENCODER
  struct {
    __typeof__(BrotliEncoderCreateInstance) *open;
    __typeof__(BrotliEncoderSetParameter) *set;
    __typeof__(BrotliEncoderCompressStream) *run;
    __typeof__(BrotliEncoderHasMoreOutput) *has_more;
    __typeof__(BrotliEncoderDestroyInstance) *close;
  } brotli_encoder;
#endif
#ifdef BRAID_HAVE_ZSTD
  struct {
    __typeof__(ZSTD_createDCtx) *open;
    __typeof__(ZSTD_DCtx_setParameter) *set;
    __typeof__(ZSTD_decompressStream) *run;
    __typeof__(ZSTD_isError) *failed;
    __typeof__(ZSTD_freeDCtx) *close;
  } zstd;
  struct {
    __typeof__(ZSTD_createCCtx) *open;
    __typeof__(ZSTD_CCtx_setParameter) *set;
    __typeof__(ZSTD_compressStream2) *run;
    __typeof__(ZSTD_isError) *failed;
    __typeof__(ZSTD_freeCCtx) *close;
  } zstd_encoder;
#endif
  char names[64]; /* of the codings that are here, for Accept-Encoding */
  char encoder_names[64];
};

extern struct braid_coding_libraries braid_codings;

#endif
