/* SPDX-License-Identifier: MIT
 * Whether a text that arrives in pieces is UTF-8. A piece may end inside a character. The caller keeps the whole text.
 * One thread; does not block. */
#ifndef BRAID_TEXT_CHECK_H
#define BRAID_TEXT_CHECK_H

#include "core/base/base.h"

/* Checks text[*checked .. size), and moves *checked behind the last whole character. False: no continuation makes this
 * UTF-8. When the text is complete, it is UTF-8 if *checked == size. */
bool braid_text_check(const char *text, size_t size, size_t *checked);

#endif
