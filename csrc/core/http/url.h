/* SPDX-License-Identifier: MIT
 * What a URL says, as libcurl reads it: what is compared is what is asked. Any thread; nothing blocks. */
#ifndef BRAID_URL_H
#define BRAID_URL_H

#include "core/base/base.h"

struct braid_url {
  char *text;                 /* in ASCII, without user and password */
  char *scheme, *host, *port; /* its origin */
  char *user, *password;      /* NULL: not said */
  const char *problem;        /* NULL, or what is wrong with it: then nothing else is set */
};

/* Reads `text`, relative to `base` where that is not NULL; a relative one may contain blanks, as servers write them.
 * libcurl is loaded. To be freed by the next. */
struct braid_url braid_url_read(const char *base, const char *text);
void braid_url_term(struct braid_url *url);

#endif
