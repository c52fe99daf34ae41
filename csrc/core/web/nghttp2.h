/* SPDX-License-Identifier: MIT
 * Loads libnghttp2 when a server first wants it, so that other programs do without it. Code calls its functions by
 * their usual names; macros map these to a table. Where braid was built without its header, it is never there. */
#ifndef BRAID_NGHTTP2_H
#define BRAID_NGHTTP2_H

#include "core/base/base.h"

/* NULL, or why it cannot be loaded. Must be called before any other function of it. Any thread; the first call blocks
 * while it loads. */
const char *braid_nghttp2_load(void);

#if defined(__has_include)
#if __has_include(<nghttp2/nghttp2.h>)
#define BRAID_HAS_NGHTTP2 1
#endif
#endif

#ifdef BRAID_HAS_NGHTTP2
#include <nghttp2/nghttp2.h>
#include <pthread.h>

#define BRAID_NGHTTP2_FUNCTIONS(use)                                                                                   \
  use(session_callbacks_new) use(session_callbacks_del) use(session_callbacks_set_on_begin_headers_callback)           \
      use(session_callbacks_set_on_header_callback) use(session_callbacks_set_on_frame_recv_callback)                  \
          use(session_callbacks_set_on_data_chunk_recv_callback) use(session_callbacks_set_on_stream_close_callback)   \
              use(session_callbacks_set_on_frame_send_callback) use(option_new) use(option_del)                        \
                  use(option_set_no_auto_window_update) use(option_set_max_outbound_ack) use(option_set_max_settings)  \
                      use(session_server_new2) use(session_del) use(session_mem_recv) use(session_mem_send)            \
                          use(session_want_read) use(session_want_write) use(session_consume_connection)               \
                              use(session_consume_stream) use(session_resume_data) use(session_get_stream_user_data)   \
                                  use(session_set_stream_user_data) use(session_get_last_proc_stream_id)               \
                                      use(session_terminate_session) use(submit_settings) use(submit_response)         \
                                          use(submit_rst_stream) use(submit_goaway) use(submit_shutdown_notice)        \
                                              use(submit_ping) use(session_set_local_window_size)

#define BRAID_NGHTTP2_FIELD(name) __typeof__(nghttp2_##name) *name;
struct braid_nghttp2 {
  BRAID_NGHTTP2_FUNCTIONS(BRAID_NGHTTP2_FIELD)
  /* Of later versions, and of those that distributions have repaired; NULL: it has them not. */
  void (*option_set_stream_reset_rate_limit)(nghttp2_option *option, uint64_t burst, uint64_t rate);
  void (*option_set_max_continuations)(nghttp2_option *option, size_t most);
  pthread_once_t once;
  const char *problem; /* why it could not be loaded; NULL: no error */
};
#undef BRAID_NGHTTP2_FIELD

extern struct braid_nghttp2 braid_nghttp2;

#define nghttp2_session_callbacks_new braid_nghttp2.session_callbacks_new
#define nghttp2_session_callbacks_del braid_nghttp2.session_callbacks_del
#define nghttp2_session_callbacks_set_on_begin_headers_callback                                                        \
  braid_nghttp2.session_callbacks_set_on_begin_headers_callback
#define nghttp2_session_callbacks_set_on_header_callback braid_nghttp2.session_callbacks_set_on_header_callback
#define nghttp2_session_callbacks_set_on_frame_recv_callback braid_nghttp2.session_callbacks_set_on_frame_recv_callback
#define nghttp2_session_callbacks_set_on_data_chunk_recv_callback                                                      \
  braid_nghttp2.session_callbacks_set_on_data_chunk_recv_callback
#define nghttp2_session_callbacks_set_on_stream_close_callback                                                         \
  braid_nghttp2.session_callbacks_set_on_stream_close_callback
#define nghttp2_session_callbacks_set_on_frame_send_callback braid_nghttp2.session_callbacks_set_on_frame_send_callback
#define nghttp2_option_new braid_nghttp2.option_new
#define nghttp2_option_del braid_nghttp2.option_del
#define nghttp2_option_set_no_auto_window_update braid_nghttp2.option_set_no_auto_window_update
#define nghttp2_option_set_max_outbound_ack braid_nghttp2.option_set_max_outbound_ack
#define nghttp2_option_set_max_settings braid_nghttp2.option_set_max_settings
#define nghttp2_session_server_new2 braid_nghttp2.session_server_new2
#define nghttp2_session_del braid_nghttp2.session_del
#define nghttp2_session_mem_recv braid_nghttp2.session_mem_recv
#define nghttp2_session_mem_send braid_nghttp2.session_mem_send
#define nghttp2_session_want_read braid_nghttp2.session_want_read
#define nghttp2_session_want_write braid_nghttp2.session_want_write
#define nghttp2_session_consume_connection braid_nghttp2.session_consume_connection
#define nghttp2_session_consume_stream braid_nghttp2.session_consume_stream
#define nghttp2_session_resume_data braid_nghttp2.session_resume_data
#define nghttp2_session_get_stream_user_data braid_nghttp2.session_get_stream_user_data
#define nghttp2_session_set_stream_user_data braid_nghttp2.session_set_stream_user_data
#define nghttp2_session_get_last_proc_stream_id braid_nghttp2.session_get_last_proc_stream_id
#define nghttp2_session_terminate_session braid_nghttp2.session_terminate_session
#define nghttp2_session_set_local_window_size braid_nghttp2.session_set_local_window_size
#define nghttp2_submit_settings braid_nghttp2.submit_settings
#define nghttp2_submit_response braid_nghttp2.submit_response
#define nghttp2_submit_rst_stream braid_nghttp2.submit_rst_stream
#define nghttp2_submit_goaway braid_nghttp2.submit_goaway
#define nghttp2_submit_shutdown_notice braid_nghttp2.submit_shutdown_notice
#define nghttp2_submit_ping braid_nghttp2.submit_ping
#endif

#endif
