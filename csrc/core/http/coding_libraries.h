/* SPDX-License-Identifier: MIT
 * The libraries that undo the codings of bodies. libcurl brings most of them, so loading them costs little. They are
 * loaded together, when the first name of a coding is needed. */
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
#if __has_include(<zstd.h>)
#include <zstd.h>
#define BRAID_HAVE_ZSTD 1
#endif

/* Written once. */
struct braid_coding_libraries {
  pthread_once_t once;
#ifdef BRAID_HAVE_ZLIB
  struct {
    __typeof__(inflateInit2_) *init;
    __typeof__(inflate) *run;
    __typeof__(inflateReset) *reset;
    __typeof__(inflateEnd) *end;
  } zlib;
#endif
#ifdef BRAID_HAVE_BROTLI
  struct {
    __typeof__(BrotliDecoderCreateInstance) *open;
    __typeof__(BrotliDecoderDecompressStream) *run;
    __typeof__(BrotliDecoderDestroyInstance) *close;
  } brotli;
#endif
#ifdef BRAID_HAVE_ZSTD
  struct {
    __typeof__(ZSTD_createDCtx) *open;
    __typeof__(ZSTD_DCtx_setParameter) *set;
    __typeof__(ZSTD_decompressStream) *run;
    __typeof__(ZSTD_isError) *failed;
    __typeof__(ZSTD_freeDCtx) *close;
  } zstd;
#endif
  char names[64]; /* of the codings that are here, for Accept-Encoding */
};

extern struct braid_coding_libraries braid_codings;

#endif
