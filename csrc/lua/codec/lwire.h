/* SPDX-License-Identifier: MIT
 * The wire format of messages. They do not leave this machine, so numbers have its byte order. Lengths, counts and
 * places are "sizes": seven bits in each byte, the lowest first; all bytes but the last have the high bit set.
 *
 *   message   count value... record...
 *   record    WIRE_FILL place content                      the content of the WIRE_LATER_... at that place
 *
 * A value begins with its tag. If WIRE_BACK refers to a value, the value's tag has the flag WIRE_KEPT.
 */
#ifndef BRAID_LWIRE_H
#define BRAID_LWIRE_H

enum wire_tag {
  WIRE_END, /* the end of a list of pairs or records; not a value */
  WIRE_NIL,
  WIRE_FALSE,
  WIRE_TRUE,
  WIRE_NULL,
  WIRE_INT16,
  WIRE_INT32,
  WIRE_INT64,
  WIRE_FLOAT,
  WIRE_STRING, /* size, bytes */
  WIRE_BACK,   /* place: the value there again */

  WIRE_RECORD,      /* hint, (key value)..., WIRE_END. The hint: 2^(hint-1) is room for the pairs; 0: there are none */
  WIRE_RECORD_META, /* the same, then the metatable */
  WIRE_ARRAY,       /* hint, count (4 bytes), value..., (key value)..., WIRE_END; a value may be nil here */
  WIRE_ARRAY_META,  /* the same, then the metatable */
  WIRE_LATER_TABLE, /* a table whose content is in a record */

  WIRE_CODE,           /* object: the code of a function without own state */
  WIRE_FUNCTION,       /* object: its code; count, upvalue... A record has this without the code */
  WIRE_LATER_FUNCTION, /* object: its code; its upvalues are in a record */
  WIRE_JOIN, /* instead of an upvalue: place of a function, number: the same variable as that function's upvalue */

  WIRE_GLOBALS, /* the table of globals */
  WIRE_NAME,    /* string: the value with this name (see lname.h) */
  WIRE_CLASS,   /* string: the metatable that is registered under this name */
  WIRE_OBJECT,  /* object: a box with it */
  WIRE_PACKED,  /* count, value..., record..., WIRE_END: the result of calling the first value with the others */

  WIRE_FILL,

  WIRE_KEPT = 0x40, /* flag: WIRE_BACK refers to this value */
  WIRE_SMALL = 0x80 /* flag: a small integer, in the other seven bits */
};

enum {
  WIRE_MOST_DEPTH = 100, /* of nested tables; deeper ones are written later */
  WIRE_MOST_PACKED = 10  /* of nested packed values */
};

#endif
