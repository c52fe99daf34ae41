/* SPDX-License-Identifier: MIT
 * Inner loops for the widest vectors of the machine. On x86-64 each is compiled three times, and the module chooses at
 * run time. Elsewhere the compiler makes one version. */
#ifndef BRAID_SIMD_H
#define BRAID_SIMD_H

#include "core/base/base.h"

#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#define BRAID_SIMD_512 __attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")))
#else
#define BRAID_SIMD_512 __attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")))
#endif
#define BRAID_SIMD_256 __attribute__((target("avx2,fma")))

/* The vector width of this machine: 512, 256 or 128 bits. Any thread; does not block. */
static inline int braid_simd_width(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    return 512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 256 : 128;
}

/* Defines the function `name`. The BRAID_INLINE function name_body has the same parameters and does the work. */
#define BRAID_SIMD(name, parameters, arguments)                                                                        \
  BRAID_SIMD_512 static void name##_512 parameters { name##_body arguments; }                                          \
  BRAID_SIMD_256 static void name##_256 parameters { name##_body arguments; }                                          \
  static void name##_128 parameters { name##_body arguments; }                                                         \
  static void name parameters {                                                                                        \
    int width = braid_simd_width();                                                                                    \
    (width == 512 ? name##_512 : width == 256 ? name##_256 : name##_128) arguments;                                    \
  }
#else
#define BRAID_SIMD(name, parameters, arguments)                                                                        \
  static void name parameters { name##_body arguments; }
#endif

#endif
