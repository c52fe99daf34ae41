/* SPDX-License-Identifier: MIT
 * The libcurl handle of a transfer: its options, and what libcurl calls while the transfer runs. The loop's thread
 * only; nothing blocks. */
#ifndef BRAID_HANDLE_H
#define BRAID_HANDLE_H

#include "core/http/transfer.h"

/* Makes transfer->easy with the options that all requests of the session share. False: memory is out. */
bool braid_handle_open(struct braid_transfer *transfer);
void braid_handle_close(struct braid_transfer *transfer);

/* Prepares the transfer for a request. */
CURLcode braid_handle_configure(struct braid_transfer *transfer, const struct braid_request *request);

/* Tells libcurl which directions wait for their own program. */
void braid_handle_pause(struct braid_transfer *transfer);

/* The address of the host is known: admits all transfers that were held for it. */
void braid_handle_answer_lookup(struct braid_transfer *transfer);

#endif
