/* SPDX-License-Identifier: MIT
 * The bytes of a message, which stay in this process: numbers are as the machine has them, lengths, counts and places
 * are "sizes": seven bits a byte, the low ones first, the last without the high bit.
 *
 *   message   count value... record...
 *   record    WIRE_FILL place content                      what was announced by WIRE_LATER_... at that place
 *
 * A value begins with its tag. Where a value is mentioned again (WIRE_BACK) the tag of its first place has WIRE_KEPT.
 */
#ifndef BRAID_LWIRE_H
#define BRAID_LWIRE_H

enum wire_tag {
  WIRE_END, /* where a list of pairs or records ends; not a value */
  WIRE_NIL,
  WIRE_FALSE,
  WIRE_TRUE,
  WIRE_NULL,
  WIRE_INT16,
  WIRE_INT32,
  WIRE_INT64,
  WIRE_FLOAT,
  WIRE_STRING, /* size, bytes */
  WIRE_BACK,   /* place: the value there */

  WIRE_RECORD,      /* hint, (key value)..., WIRE_END. The hint: 2^(hint-1) is room for the pairs; 0: there are none */
  WIRE_RECORD_META, /* the same, metatable */
  WIRE_ARRAY,       /* hint, count (4 bytes), value..., (key value)..., WIRE_END; nil is a value here */
  WIRE_ARRAY_META,  /* the same, metatable */
  WIRE_LATER_TABLE, /* a table whose content comes in a record */

  WIRE_CODE,           /* object: the code of a function without a state of its own */
  WIRE_FUNCTION,       /* object: its code; count, upvalue...; in a record without the code */
  WIRE_LATER_FUNCTION, /* object: its code; its upvalues come in a record */
  WIRE_JOIN,           /* in place of an upvalue: place of a function, number: the same variable as that upvalue */

  WIRE_GLOBALS, /* the table of globals */
  WIRE_NAME,    /* string value: what has this name (see lname.h) */
  WIRE_CLASS,   /* string value: the metatable that is registered by this name */
  WIRE_OBJECT,  /* object: its box */
  WIRE_PACKED,  /* count, value..., record..., WIRE_END: what the first value, called with the others, returns */

  WIRE_FILL,

  WIRE_KEPT = 0x40, /* flag: the value will be mentioned again */
  WIRE_SMALL = 0x80 /* flag: the integer in the other seven bits */
};

enum {
  WIRE_MOST_DEPTH = 100, /* of tables in tables; what is deeper comes later */
  WIRE_MOST_PACKED = 10  /* of packed values in packed values */
};

#endif
