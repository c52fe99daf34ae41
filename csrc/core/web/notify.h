/* SPDX-License-Identifier: MIT
 * Tells the service manager that has started this process how it is (sd_notify(3)). */
#ifndef BRAID_NOTIFY_H
#define BRAID_NOTIFY_H

#include "core/base/base.h"

/* Sends the text to the socket in NOTIFY_SOCKET. Returns 0, also if there is none, or an error number. Any thread,
 * while none changes the environment; does not block. */
int braid_notify(const char *text, size_t size);

#endif
