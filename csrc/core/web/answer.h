/* SPDX-License-Identifier: MIT
 * The head of an answer as text. Any thread; nothing blocks. */
#ifndef BRAID_ANSWER_HEAD_H
#define BRAID_ANSWER_HEAD_H

#include "core/base/buffer.h"

/* The usual words for a status; "" for one without. */
const char *braid_status_words(unsigned status);

/* Whether an answer with this status has a body. */
static inline bool braid_status_has_body(unsigned status) { return status >= 200 && status != 204 && status != 304; }

/* Appends a field line. False: memory is out, or the name or the value cannot be sent. */
bool braid_answer_add(struct braid_buffer *fields, const char *name, size_t name_size, const char *value,
                      size_t value_size);

/* The field line Date, with the time of now; kept for as long as the second lasts. */
struct braid_date {
  int64_t second;
  char line[40]; /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
};
enum { BRAID_DATE_LINE = 37 };
void braid_date_update(struct braid_date *date);

#endif
