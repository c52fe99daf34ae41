/* SPDX-License-Identifier: MIT
 * The head of an HTTP/1.1 request: its line and its fields (RFC 9112). The parser is incremental and copies nothing:
 * what it finds are places in the bytes that it was given. It is strict: where two programs may read a head in two
 * ways, it refuses it. Any thread; nothing blocks. */
#ifndef BRAID_HEAD_H
#define BRAID_HEAD_H

#include "core/base/base.h"

/* A part of the bytes that were parsed. */
struct braid_part {
  uint32_t at, size;
};

enum braid_head_flag {
  BRAID_HEAD_OLD = 1,        /* HTTP/1.0 */
  BRAID_HEAD_CHUNKED = 2,    /* the body comes in chunks */
  BRAID_HEAD_LENGTH = 4,     /* it has Content-Length */
  BRAID_HEAD_CLOSE = 8,      /* Connection: close */
  BRAID_HEAD_KEEP = 16,      /* Connection: keep-alive */
  BRAID_HEAD_UPGRADE = 32,   /* Connection: upgrade */
  BRAID_HEAD_CONTINUE = 64,  /* Expect: 100-continue */
  BRAID_HEAD_ABSOLUTE = 128, /* the target had a scheme and an authority */
  BRAID_HEAD_HOST = 256      /* it has Host */
};

struct braid_head {
  uint32_t scanned, line;       /* how far it has looked for an end of line; where the current line begins */
  uint32_t size;                /* of the whole head, with the empty line; 0: it is not complete */
  struct braid_part method;     /* empty: the request line has not come */
  struct braid_part target;     /* as the client sent it */
  struct braid_part path;       /* of the target, up to '?' or its end; empty only for "*" */
  struct braid_part query;      /* without '?'; at == 0: there is none */
  struct braid_part authority;  /* of an absolute target */
  struct braid_part fields;     /* all field lines */
  uint64_t length;              /* Content-Length */
  uint32_t count;               /* number of fields */
  uint16_t flags;               /* of braid_head_flag */
  bool began, unknown, codings; /* an empty line came first; a coding that is unknown; Transfer-Encoding came */
};

enum { BRAID_HEAD_MOST_FIELDS = 128 };

/* Parses the head in the first `size` bytes of `data`; the next call gets the same bytes and more. `most`: bytes that a
 * head may have. Returns 0 when more bytes are needed; 200 when the head is complete (its size is in `head->size`);
 * else the status of the refusal: 400, 417, 431, 501 or 505. Begin with a head of zeros. */
unsigned braid_head_parse(struct braid_head *head, const char *data, size_t size, size_t most);

/* A field, without the blanks around its value. */
struct braid_field {
  const char *name, *value;
  size_t name_size, value_size;
};

/* Reads the field line at *at, which has the form "name: value\r\n", and moves *at behind it. False at `end`. */
bool braid_field_next(const char **at, const char *end, struct braid_field *field);

/* Finds the only or first field of that name; `name` is in lower case. */
bool braid_field_find(const char *fields, size_t size, const char *name, struct braid_field *field);

#endif
