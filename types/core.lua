---@meta braid.core
-- SPDX-License-Identifier: MIT
-- The C module, for the language server. It is braid's own floor: programs use `require "braid"`.

---@class braid.core
---@field start_folder string? in which the process was when it loaded braid
---@field null lightuserdata
---@field Task braid.Future methods of futures
---@field Scope braid.Scope
---@field Queue braid.Queue
---@field Lock braid.Lock
---@field Semaphore braid.Semaphore
---@field Event braid.Event
---@field Condition braid.Condition
---@field Barrier braid.Barrier
---@field Counter braid.Counter
---@field Array braid.Array
---@field Dict braid.Dict
---@field List table the metatable of lists: decoded ones, results, what json.array marks
---@field list_others fun(list: table, n: integer): any[]?, integer[]? other keys than 1 to n and "n"; integers apart
---@field list_has_hole fun(list: table, n: integer): boolean
---@field list_new fun(n: integer): table empty, with room for n elements
---@field list_fill fun(list: table, first: integer, items: table, n: integer) list[first] = items[1] and so on
---@field slice fun(list: table, first: integer, n: integer): table stands for n elements; is sent as a table with `n`
---@field EACCES integer numbers of errors of the system
---@field EADDRINUSE integer
---@field lua_release string as "5.4.6"
---@field SqliteBlob table the metatable of blobs for SQLite
---@field EAGAIN integer
---@field EBADF integer
---@field ECONNABORTED integer
---@field ECONNREFUSED integer
---@field EISCONN integer
---@field EMFILE integer
---@field ENFILE integer
---@field ENOENT integer
---@field ENXIO integer
---@field ETIMEDOUT integer
---@field EAI_AGAIN integer numbers of errors of getaddrinfo
---@field EAI_BADFLAGS integer
---@field EAI_FAIL integer
---@field EAI_FAMILY integer
---@field EAI_MEMORY integer
---@field EAI_NONAME integer
---@field EAI_SERVICE integer
---@field EAI_SOCKTYPE integer
---@field EAI_SYSTEM integer
---@field HOST_NOT_FOUND integer of gethostbyname
---@field signals table<string, integer> name without SIG -> number
---@field Pool table methods of pools of the core
---@field Error table the metatable of error values
local core = {}

-- ---- tasks ---------------------------------------------------------------------------------------------------------

---@param fn fun(...): ...
---@param ... any
---@return braid.Task
function core.spawn(fn, ...) end

---As spawn, and runs it up to its first wait.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
function core.spawn_now(fn, ...) end

---@return braid.Task?
function core.current() end

---From now on the hooks "carry", "forget" and "unwrap" are called.
---@param class table the metatable of what "carry" returns
function core.carry(class) end

---@return braid.Task[]
function core.tasks() end

---Suspends.
---@param seconds number
function core.sleep(seconds) end

---Suspends.
function core.checkpoint() end

---@return number seconds
function core.now() end

---@return number seconds since 1970
function core.wall_time() end

---@param fd integer of a Unix socket
---@return integer? pid of the process at the other end
---@return integer? user
function core.peer_process(fd) end

---@return integer
function core.user_id() end

---@param digits integer even, at most 32
---@return string
function core.random_hex(digits) end

---@return integer pending
---@return integer running
function core.task_counts() end

---@return number seconds the longest time between two polls since the last call
function core.longest_turn() end

---@return table
function core.locals() end

---@param fn fun(...): ...
---@return fun(...): ...
function core.wrap(fn) end

---Suspends.
---@param cases table[]
---@param timeout number?
---@return integer? index
---@return any value
function core.select(cases, timeout) end

---Raises an error again, with the traceback of where it first came from.
---@param err any
---@param traceback string?
function core.rethrow(err, traceback) end

---For message handlers: where an error came from; nil of the echo of a cancel.
---@param err any
---@return string? traceback
function core.trace(err) end

---At the end of the state or of the process: reports failures that nobody will ask for any more.
function core.report_failures() end

-- ---- scopes --------------------------------------------------------------------------------------------------------

---@param kind "nursery"|"gather"|"run"|"limit"|"shield"
---@param timeout number?
---@return braid.Scope
function core.scope_enter(kind, timeout) end

---@param seconds number?
---@param fn fun(scope: braid.Scope): ...
---@return any ... what fn returned
function core.within_scope(seconds, fn) end

---@param seconds number?
---@param fn fun(...): ...
---@return any ... what fn returned
function core.within_limit(seconds, fn, ...) end

---@param seconds number?
---@param fn fun(...): ...
---@return boolean in_time
---@return any ...
function core.within_time(seconds, fn, ...) end

---@param seconds nil
---@param fn fun(...): ...
---@return any ... what fn returned
function core.within_shield(seconds, fn, ...) end

---The scope of the nearest run around the caller.
---@return braid.Scope?
function core.run_scope() end

---The innermost scope that the running code has entered; in a generator, inside it.
---@return braid.Scope?
function core.innermost() end

---The innermost scope that the script has not closed.
---@return braid.Scope?
function core.left_open() end

---Whether a wait here and now would be cancelled.
---@return boolean
function core.cancelled() end

---Raises when a wait here and now would be cancelled: for calls that may turn out to have nothing to wait for.
function core.look() end

---@param task braid.Task? whom SIGINT is for
function core.set_main(task) end

---@return braid.Task[]?
function core.root_failures() end

-- ---- primitives ----------------------------------------------------------------------------------------------------

---@param maxsize integer
---@param order ("fifo"|"lifo"|"priority")?
---@return braid.Queue
function core.queue_new(maxsize, order) end

---@return braid.Lock
function core.lock_new() end

---@param turns integer
---@param unbounded boolean?
---@return braid.Semaphore
function core.semaphore_new(turns, unbounded) end

---@return braid.Event
function core.event_new() end

---@param lock braid.Lock
---@return braid.Condition
function core.condition_new(lock) end

---@param parties integer
---@return braid.Barrier
function core.barrier_new(parties) end

---@param start integer?
---@return braid.Counter
function core.counter_new(start) end

---@return braid.Dict
function core.dict_new() end

---@param type string
---@param length integer
---@return braid.Array
function core.array_new(type, length) end

---@param path string
---@param type string
---@param offset integer in bytes
---@param n integer
---@param writable boolean
---@return braid.Array?
---@return braid.Error?
function core.array_map(path, type, offset, n, writable) end

---Copies between arrays of one type.
---@param to braid.Array
---@param first integer
---@param row_step integer
---@param column_step integer
---@param from braid.Array
---@param from_first integer
---@param from_row_step integer
---@param from_column_step integer
---@param rows integer
---@param columns integer
function core.view_copy(to, first, row_step, column_step, from, from_first, from_row_step, from_column_step, rows,
                        columns) end

-- ---- descriptors, programs, transfers ------------------------------------------------------------------------------

---Watches signals: `fd()` is readable when one has come, and `next()` gives its name; also `wake()`, `close()`.
---@param name string "HUP" or "SIGHUP"
---@param ... string
---@return userdata? watch
---@return braid.Error? err
function core.signal_watch(name, ...) end

---Suspends.
---@param fd integer
---@param events "r"|"w"|"rw"
---@param timeout number?
---@return boolean|string? ready
---@return braid.Error? err
function core.wait_fd(fd, events, timeout) end

---Nobody here waits for the descriptor any more, and another thread will close it.
---@param fd integer
function core.forget_fd(fd) end

---Both ends of a pipe, as descriptors that do not block.
---@return userdata? read_end
---@return userdata|braid.Error write_end
function core.pipe() end

---@param rows integer
---@param columns integer
---@return userdata? descriptor our side of a new terminal
---@return string|braid.Error path of the program's side
function core.terminal_open(rows, columns) end

---Starts a program. Each of stdin, stdout and stderr is "pipe", "null" or a descriptor's number; stderr may be
---"stdout".
---@param argv string[]
---@param environment table<string, string|false> name -> "name=value", or false to remove it
---@param directory string?
---@param stdin string|integer
---@param stdout string|integer
---@param stderr string|integer
---@param group boolean?
---@param clear boolean?
---@param path string? where to look for the program
---@param passed integer[]? descriptors that it gets, too
---@param terminal string? path; it takes the place of the three
---@param user string? as whom it runs
---@return userdata? child
---@return userdata|braid.Error|nil stdin our end, if it is a pipe
---@return userdata? stdout
---@return userdata? stderr
function core.child_start(argv, environment, directory, stdin, stdout, stderr, group, clear, path, passed, terminal,
                          user) end

---Flushes the file.
---@param file file* of the io library
---@return integer? descriptor nil if it is closed
function core.file_number(file) end

---The file that a download goes to. Does not suspend.
---@param path string
---@return string? path of a regular file, after symbolic links
---@return integer|false|braid.Error|nil mode its permissions; nil: there is none; false: it is no regular file
function core.file_target(path) end

---Does not suspend.
---@param path string
---@param mode integer
---@return true? done
---@return braid.Error? err
function core.file_mode(path, mode) end

---@param cookies boolean
---@param max_per_host integer 0: no limit
---@param max_connections integer
---@return userdata session
function core.http_session(cookies, max_per_host, max_connections) end

---@param text string
---@param base string? what the text is relative to
---@return string? url in ASCII, without user and password
---@return string origin or what is wrong with it
---@return string? user
---@return string? password
function core.http_url(text, base) end

---@param url any
---@return boolean plain it begins with http:// or https://, is in ASCII, and has neither user nor password
function core.http_plain(url) end

---@param method string
---@param record table what lua/braid/http/request.lua has made of the options; it is not changed any more
---@return userdata request
function core.http_request(method, record) end

---@param text string
---@param charset string
---@return string? text in UTF-8; nil: the charset is unknown
function core.text_decode(text, charset) end

---Suspends.
---@param host string? nil: all of this machine's addresses
---@param port integer
---@param timeout number?
---@return string[]? addresses in the order in which to try them
---@return braid.Error? err
function core.resolve(host, port, timeout) end

---@param path string
---@return string? address
---@return braid.Error? err
function core.unix_address(path) end

---@param address string
---@return string host or path
---@return integer? port
function core.address_text(address) end

---@param address string of IPv4 or IPv6
---@return string bytes 4 or 16
function core.address_bytes(address) end

---Suspends.
---@param address string
---@param from string? the local address
---@param nodelay boolean
---@param keepalive integer seconds; -1: the system's; 0: none
---@param timeout number?
---@return userdata? descriptor
---@return braid.Error? err
function core.socket_connect(address, from, nodelay, keepalive, timeout) end

---@param address string
---@param backlog integer
---@param reuse_port boolean?
---@param v6only boolean? nil: as the system has it
---@return userdata? descriptor
---@return braid.Error? err
function core.socket_listen(address, backlog, reuse_port, v6only) end

---Makes a context of OpenSSL. lua/braid/io/tls.lua knows the options.
---@param functions lightuserdata from braid.tls_core
---@param options table
---@return userdata? context
---@return braid.Error? err
function core.tls_context(functions, options) end

---@param path string
---@return string? state changes when the file does; nil: there is none
function core.file_state(path) end

---@param address string
---@param reuse_port boolean?
---@param broadcast boolean?
---@return userdata? descriptor
---@return braid.Error? err
function core.udp_open(address, reuse_port, broadcast) end

---A socket step by step. Further methods of a descriptor, for braid.luasocket: `bind(address)`, `listen(backlog)`,
---`dial(address, timeout)` (suspends), `undial()`, `there()`, `shut(how)`, `let_go()`, `set_option(name, ...)`,
---`get_option(name)`.
---@param family "inet"|"inet6"|"unix"
---@param type "stream"|"dgram"
---@return userdata? descriptor
---@return braid.Error? err
function core.socket_new(family, type) end

---@param fd integer
---@return userdata descriptor that owns it
function core.socket_adopt(fd) end

---@param name string as in LuaSocket
---@return "flag"|"number"|"linger"|"interface"|"group"|"group6"|"error"|nil kind
function core.socket_option(name) end

---Suspends.
---@param readers integer[] descriptors
---@param writers integer[]
---@param timeout number?
---@return boolean[] ready of each reader, then of each writer
function core.socket_select(readers, writers, timeout) end

---Suspends.
---@param kind "addresses"|"names"|"host"
---@param host string?
---@param service string?
---@param family "unspec"|"inet"|"inet6"|nil
---@param type "stream"|"dgram"|nil
---@param passive boolean?
---@return string[]? texts see csrc/core/net/names.h
---@return integer? code of getaddrinfo or gethostbyname
---@return integer? number errno
function core.names(kind, host, service, family, type, passive) end

---@param number integer errno
---@return string
function core.system_text(number) end

---@return number seconds since 1970
function core.wall_time() end

---@return integer pending
---@return integer running
function core.task_counts() end

---@return number seconds the longest time between two polls since the last call
function core.longest_turn() end

---@return string name of this machine
function core.host_name() end

---@class braid.core.file: userdata an open file of the core
---@field read fun(self, offset: integer, size: integer): string?, braid.Error? suspends
---@field write fun(self, offset: integer, data: string): integer?, braid.Error|"cut"|nil, integer? suspends
---@field sync fun(self, data: boolean?): true?, braid.Error? suspends
---@field truncate fun(self, size: integer): true?, braid.Error? suspends
---@field stat fun(self): table?, braid.Error? suspends
---@field lock fun(self, kind: "shared"|"exclusive"|"none"): true?, braid.Error? does not wait for the lock; suspends
---@field watch fun(self, path: string, events: integer): integer?, braid.Error? suspends
---@field close fun(self): true?, braid.Error? suspends
---@field descriptor fun(self): userdata

---Suspends.
---@param path string
---@param mode "r"|"w"|"a"|"r+"|"w+"|"a+"
---@return braid.core.file? file
---@return string|braid.Error letter of its kind, as ls shows it but "f" for a regular file
function core.file_open(path, mode) end

---Suspends.
---@param path string
---@return string|braid.core.file|nil data a file if it is no regular one
---@return string|braid.Error|nil letter
function core.file_load(path) end

---Suspends.
---@param path string
---@param data string
---@param mode "w"|"a"
---@return integer|braid.core.file|nil bytes a file if it is no regular one
---@return string|braid.Error|nil letter "cut" if it was cancelled
---@return integer? bytes
function core.file_store(path, data, mode) end

---Suspends.
---@param path string
---@param data string
---@param mode integer
---@param sync boolean
---@return true? done
---@return braid.Error|"cut"|nil err
---@return integer? bytes
function core.file_replace(path, data, mode, sync) end

---Suspends.
---@param path string
---@param to string
---@return integer? bytes
---@return braid.Error|"cut"|nil err
---@return integer? bytes
function core.file_copy(path, to) end

---Suspends.
---@param path string
---@param to string
---@return true? done
---@return braid.Error? err
function core.file_rename(path, to) end

---Suspends.
---@param path string
---@param recursive boolean?
---@return true? done
---@return braid.Error|"cut"|nil err
---@return integer? names that were removed
function core.file_remove(path, recursive) end

---Suspends.
---@param path string
---@param mode integer
---@param parents boolean?
---@return true? done
---@return braid.Error? err
function core.file_make(path, mode, parents) end

---Suspends.
---@param path string
---@return string[]? names
---@return string|braid.Error letters of their kinds
function core.file_list(path) end

---Suspends.
---@param path string
---@param link boolean?
---@return table? facts
---@return braid.Error? err
function core.file_stat(path, link) end

---Suspends.
---@param template string
---@param folder boolean?
---@return string? path
---@return braid.core.file|braid.Error|nil file
function core.file_temporary(template, folder) end

---@return braid.core.file? watcher
---@return userdata|braid.Error descriptor
function core.file_watcher() end

---@param prefix string frames of files that begin with it are braid's own
---@param moved string the same for a relative one in another folder
function core.set_home(prefix, moved) end

---@param name "callback"|"carry"|"forget"|"unwrap"|"ending"|"leaving"|"closing"|"insists"|"report"|"uncaught"
---@param fn function
function core.set_hook(name, fn) end

-- ---- the web server ------------------------------------------------------------------------------------------------

---@param max_body integer
---@param ... any further limits: see csrc/lua/web
---@return userdata? server
---@return string? why_not
---@return integer? code
function core.web_server(max_body, ...) end

---@param path string
---@return integer? descriptor
---@return string? why_not
---@return integer? code
function core.web_listen_unix(path) end

---Takes a listening socket that this process was given.
---@param descriptor integer
---@return string? host or path
---@return integer|string|nil port or why not
function core.web_inherit(descriptor) end

---Tells the service manager, if there is one (sd_notify(3)).
---@param text string
---@return boolean? ok
---@return string? why_not
function core.notify(text) end

---@param user string?
---@param group string?
---@return string? bytes for drop_user
---@return string? why_not
function core.find_user(user, group) end

---The process becomes that user for good.
---@param bytes string of find_user
---@param bound boolean it ends with its parent
---@return boolean? ok
---@return string? why_not
function core.drop_user(bytes, bound) end

---@param host string
---@param port integer
---@param reuse_port boolean?
---@return integer? descriptor
---@return integer|string port or why not
---@return integer? code -1: the name could not be resolved
function core.web_listen(host, port, reuse_port) end

---@param path string begins with "/"
---@param raw boolean? escapes are not decoded
---@return string? path in its normal form; nil: an escape is none
---@return boolean? escaped there are escapes of "/" or NUL
function core.web_path(path, raw) end

---@param root string
---@param path string
---@return userdata? file
---@return integer|"missing"|"folder"|"shortage" size
---@return integer? seconds of the last change
---@return integer? nanoseconds
function core.web_file(root, path) end

---@return string codings that can be applied, as "zstd,br,gzip"
---@return string codings that can be undone, as "gzip, deflate, br, zstd"
function core.web_codings() end

---@param coding string
---@param level integer 0: the usual one
---@return userdata? encoder nil: that coding is not here
function core.web_encoder(coding, level) end

---@param codings string as Content-Encoding lists them
---@return userdata? decoder
---@return string? why_not
function core.web_decoder(codings) end

---@param listener integer descriptor
---@return integer|false|nil descriptor of a connection; false: none waits
---@return string? why_not
function core.accept(listener) end

---Makes the socket at which workers meet their supervisor.
---@return integer? descriptor
---@return string name or why not
function core.control_listen() end

---@param descriptor integer of control_listen
---@return userdata|false|nil socket false: nobody has connected
---@return integer|string pid of the worker, or why not
function core.control_accept(descriptor) end

---@param name string of control_listen
---@return userdata? socket
---@return string? why_not
function core.control_connect(name) end

---@param pid integer
---@param signal integer
---@return boolean sent
function core.kill(pid, signal) end

---@param descriptor integer
function core.close_fd(descriptor) end

---@param seconds number
---@return userdata? guard ends this process so long after SIGTERM, unless its close() comes first
---@return string? why_not
function core.term_guard(seconds) end

-- ---- kernels -------------------------------------------------------------------------------------------------------

---@param path string
---@param ours boolean? only this user can write it
---@return true? exists it was made if it was not there
---@return string? why_not
function core.compiled_folder(path, ours) end

---@param path string
---@return string? text that differs between versions of the file; nil: there is none that can be executed
function core.compiled_file(path) end

---@param csv userdata
---@param column integer
---@param whole boolean
---@return integer? record
---@return integer? line
---@return string? text
function core.csv_find(csv, column, whole) end

---@param text string
---@return string digits 32 hexadecimal ones
function core.compiled_hash(text) end

---@param operation "solve"|"cholesky"|"qr"|"svd"|"eigh"
---@param m integer
---@param n integer
---@param k integer
---@param a braid.Array
---@param b braid.Array?
---@param c braid.Array?
---@param s braid.Array?
---@return integer info
function core.lapack(operation, m, n, k, a, b, c, s) end

---@param folder string
---@param most integer bytes
---@return integer? removed
function core.compiled_evict(folder, most) end

---@param path string
---@param alone boolean?
---@return userdata? library
---@return string? why_not
function core.compiled_open(path, alone) end

---Suspends, unless small. See csrc/lua/kernels/lcompiled.c.
---@param library userdata
---@param ... any
---@return boolean done
---@return any ...
function core.compiled_run(library, ...) end

---Values of groups: what, values or nil, out, for each column. False: the key at that place is in no group.
---@return boolean ok, integer? bad
function core.group(keys, low, groups, threads, ...) end

---@param what "sum"|"min"|"max"
---@param along_rows boolean one result for each column
function core.matrix_reduce(array, rows, columns, what, along_rows, out, threads) end

---@param what "sum"|"min"|"max"
function core.matrix_windows(array, n, what, out, threads) end

function core.matrix_convolve(a, b, first, out, threads) end

function core.selection_take(array, indices, out, threads) end

---@param add boolean the values are added
function core.selection_put(target, indices, values, add) end

---@return boolean? ok, braid.Error? err
function core.storage_move(path, offset, array, write) end

---@return integer? size, braid.Error? err
function core.storage_size(path) end

---@return integer crc
function core.storage_crc(text, array) end

---@param array braid.Array
---@return boolean?
---@return braid.Error?
function core.storage_sync(array) end

---@param text string
---@param array braid.Array
---@return braid.Array? packed of u8
---@return braid.Error?
function core.storage_deflate(text, array) end

---@param packed braid.Array of u8
---@param skip integer
---@param array braid.Array
---@param whole boolean?
---@return boolean
---@return string? why_not
function core.storage_inflate(packed, skip, array, whole) end

function core.csv_new(text, first, separator, columns) end

---@return integer records
function core.csv_count(csv) end

---@return string? kinds, integer? record, integer? fields
function core.csv_read(csv, ...) end

---@return string[]
function core.csv_texts(csv, column) end

---@return integer
function core.selection_count(mask, threads) end

---@param array braid.Array? nil: the indices
function core.selection_compress(array, mask, out, threads) end

function core.selection_where(mask, a, b, out, threads) end

---@param last number? the last element
function core.selection_ramp(out, first, step, last, threads) end

---Suspends.
---@param numbers integer|integer[]|braid.Array
---@param trial boolean
---@param threads integer?
---@param unsigned boolean?
---@return integer[]|integer[][]
function core.factorize(numbers, trial, threads, unsigned) end

---Suspends.
---@param numbers integer|integer[]|braid.Array
---@param threads integer?
---@param unsigned boolean?
---@return boolean|boolean[]
function core.is_prime(numbers, threads, unsigned) end

---Suspends.
---@param limit integer
---@param threads integer?
---@return integer total
---@return braid.Array counts of the sieve's chunks
function core.count_primes(limit, threads) end

---Suspends.
---@param limit integer
---@param threads integer?
---@param total integer as count_primes gave it
---@param counts braid.Array likewise
---@return braid.Array
function core.list_primes(limit, threads, total, counts) end

---Suspends.
---@param n integer
---@param seed integer
---@param threads integer?
---@return number estimate
---@return integer inside
function core.monte_carlo_pi(n, seed, threads) end

---Suspends.
---@param width integer
---@param height integer
---@param left number
---@param right number
---@param bottom number
---@param top number
---@param iterations integer
---@param threads integer?
---@return braid.Array
function core.mandelbrot(width, height, left, right, bottom, top, iterations, threads) end

---Suspends.
---@param list string[]
---@param algorithm string
---@param files boolean
---@param threads integer?
---@return string[]? digests
---@return braid.Error? err
function core.hash(list, algorithm, files, threads) end

---Suspends.
---@param list string[]
---@param files boolean
---@param threads integer?
---@return table<string, integer>? counts
---@return table|braid.Error totals
function core.word_count(list, files, threads) end

-- ---- what runs ----------------------------------------------------------------------------------------------------

---@return string what this state does
function core.tell_state() end

---Blocks until all have answered, for so long at most.
---@param seconds number
---@return string what the other states of this process do
function core.tell_states(seconds) end

---@param mode "report"|"raise"|"off"|nil
---@return "report"|"raise"|"off" before
function core.deadlocks(mode) end

---@param pid integer
---@return userdata? question
---@return string? why_not "ended": there is no such process
function core.question_new(pid) end

---@param folder string
---@return integer[]? names in it that are numbers
---@return string? err
---@return integer? code
function core.numbers(folder) end

---@param pid integer
---@return "pid"|"net"|"user"|nil kind of the namespace in which that process differs from this one
function core.other_space(pid) end

---@param text string
---@param lines boolean? line ends stay
---@return string text with \xNN for each character that is not visible
function core.printable(text, lines) end

---@return true? written all output
---@return string? why_not
function core.flush_output() end

---@return integer
function core.pid() end

---@return integer the system's number of the calling thread
function core.thread_id() end

-- ---- the machine ---------------------------------------------------------------------------------------------------

---@return number seconds of processor time that this thread has used
function core.thread_time() end

---@return number seconds of processor time of programs that this process has started and seen end
function core.children_time() end

---@return number seconds that this state's loop has slept because nobody could go on
function core.idle_time() end

---@param fd integer
---@return integer? columns nil: no terminal
---@return integer? rows
function core.terminal(fd) end

---@param fd integer
---@return string? settings
---@return string? reason
function core.terminal_raw(fd) end

---@param fd integer
---@param settings string
function core.terminal_restore(fd, settings) end

---@return { name: string, release: string, arch: string, load: number? } load: of the last minute
function core.system() end

-- ---- kernels over arrays: they suspend; threads nil stands for all cores --------------------------------------------

---@param what "sum"|"dot"|"min"|"max"|"variance"
---@param a braid.Array
---@param b braid.Array? for "dot"
---@param threads integer?
---@return number? value of "variance" the mean
---@return number? place of "variance" the sum of the squares of the differences from the mean
function core.vector_reduce(what, a, b, threads) end

---@param array braid.Array
---@param out braid.Array
---@param threads integer?
---@param what "sum"|"product"|"min"|"max"|nil
function core.vector_scan(array, out, threads, what) end

---@param array braid.Array
---@param out braid.Array may be the array
---@param descending boolean?
---@param threads integer?
function core.vector_sort(array, out, descending, threads) end

---@param array braid.Array
---@param order braid.Array of i64: the places of the elements as they would be sorted
---@param descending boolean?
---@param threads integer?
function core.vector_order(array, order, descending, threads) end

---@param array braid.Array
---@param order braid.Array from vector_order
---@param out braid.Array
---@param threads integer?
function core.vector_take(array, order, out, threads) end

---@param sorted braid.Array
---@param values braid.Array?
---@param counts braid.Array?
---@param threads integer?
---@return integer found how many different elements there are
function core.vector_unique(sorted, values, counts, threads) end

---@param array braid.Array
---@param low number
---@param high number
---@param counts braid.Array of i64, one for each bin
---@param edges braid.Array of f64, one more
---@param threads integer?
function core.vector_histogram(array, low, high, counts, edges, threads) end

---@param sorted braid.Array
---@param values braid.Array
---@param right boolean
---@param places braid.Array of i64
---@param threads integer?
function core.vector_search(sorted, values, right, places, threads) end

---@return boolean begun false when somebody traces already
function core.trace_start() end

function core.trace_stop() end

---@param i integer
---@return string? what "name", "step", "park", "submit", "run", "done" or "home"; nil behind the last
---@return integer whose
---@return integer track the thread, or minus the process
---@return number seconds
---@return string name
function core.trace_event(i) end

-- ---- tests ---------------------------------------------------------------------------------------------------------

---Takes the place of the loop's turn while it runs: begin(strategy, seed, options), finish(), choices(), give(list),
---advance(), set_auto(on), settle(). See lsimulation.c.
---@return userdata
function core.simulation_new() end

---@return integer jobs that are not home
---@return integer deadlines
---@return integer locks that tasks hold
function core.state_holdings() end

---@param path string a folder of /proc
---@return string[]? names
function core.proc_names(path) end

---@param path string a link in /proc
---@return string? target
function core.proc_link(path) end

---Blocks the thread, whatever the loop's clock says.
---@param seconds number
function core.pause(seconds) end

---@param a braid.Array m rows of k
---@param b braid.Array k rows of n
---@param out braid.Array
---@param m integer
---@param k integer
---@param n integer
---@param threads integer?
function core.vector_matmul(a, b, out, m, k, n, threads) end

---@param array braid.Array
---@param seed integer
---@param distribution "uniform"|"normal"|"exponential"|"poisson"|"binomial"
---@param a number the lower border, the mean, or the number of tries
---@param b number? the upper border, the deviation, or the probability
---@param threads integer?
function core.vector_random(array, seed, distribution, a, b, threads) end

---@param source string
---@return userdata? expression
---@return integer? column where it is wrong
---@return string? message
function core.expression_new(source) end

---@param expression userdata
---@param threads integer?
---@param out braid.Array
---@param ... braid.Array|number for the variables, in order of first appearance
function core.vector_map(expression, threads, out, ...) end

-- ---- how a script ends ---------------------------------------------------------------------------------------------

---From now on it is noticed when the script ends by an error that nothing catches.
function core.watch_end() end

---The script ends now, and has said why: nothing is waited for, nor said.
function core.leave() end

---A line on stderr for each pool of the process with jobs on their way. Once.
function core.tell_dropped() end

---When the interpreter exits, the process exits with status 130, as after SIGINT.
function core.exit_interrupted() end

---Counts the jobs of a task pool, with add() and remove(), for core.tell_dropped.
---@param kind string
---@param name string?
---@return userdata tally
function core.tally_new(kind, name) end

-- ---- pools of threads ----------------------------------------------------------------------------------------------

---Starts worker threads. Raises kind "not_sendable" when init or its arguments cannot be sent.
---@param workers integer
---@param settings table for lua/braid/pools/worker.lua
---@param modules string compiled ones, each packed as "zs": its name and its code
---@return userdata pool
function core.pool_new(workers, settings, modules) end

---How many cores this process may use, with regard to affinity and quota.
---@return integer
function core.cpu_count() end

---A task of a pool. It belongs to no scope, and is held until it is started or cancelled.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
function core.prepare(fn, ...) end

---Makes a held task ready.
---@param task braid.Task
function core.start(task) end

---Runs a held task up to its first wait.
---@param task braid.Task
function core.start_now(task) end

---The error for Lua's own "not enough memory".
---@return braid.Error
function core.no_memory() end

-- ---- pools of processes --------------------------------------------------------------------------------------------

---Starts worker processes. Raises kind "not_sendable" when init or its arguments cannot be sent.
---@param workers integer
---@param settings table for lua/braid/pools/worker.lua
---@return userdata pool with the methods of core.pool_new's, and pids
function core.process_pool_new(workers, settings) end

---The names of the pools that this state has made and whose workers have not all ended; "" for one without.
---@return string[]
function core.pools() end

---The values as a parcel; raises kind "not_sendable" for what cannot travel.
---@param ... any
---@return userdata parcel
function core.encode(...) end

---The values of a parcel.
---@param parcel userdata
---@return any ...
function core.decode(parcel) end

---The values as the bytes of a message, and the boxes of what they refer to: bytecode and arrays. Raises kind
---"not_sendable" for other shared objects.
---@param what string what the values are, for errors: "argument"
---@param ... any
---@return string bytes
---@return userdata[]? boxes
function core.freeze(what, ...) end

---The values again. The bytes must not come from strangers.
---@param bytes string
---@param boxes userdata[]?
---@return any ...
function core.thaw(bytes, boxes) end

---@param box userdata
---@return string? bytes of the bytecode; nil: the box holds something else
---@return integer? upvalues
function core.code_parts(box) end

---@param bytes string
---@param upvalues integer
---@return userdata box
function core.code_make(bytes, upvalues) end

---@param value any
---@param max_depth integer?
---@param pretty boolean?
---@param sort_keys boolean?
---@param replace boolean? what is not UTF-8
---@return string
function core.json_encode(value, max_depth, pretty, sort_keys, replace) end

-- ---- Redis's protocol -----------------------------------------------------------------------------------------------

---@param ... string|number the words of a command
---@return string
function core.resp_encode(...) end

---@class braid.core.RespParser
---@field feed fun(self: braid.core.RespParser, bytes: string)
---@field next fun(self: braid.core.RespParser): kind: 1|2|3|nil, value: any a reply, refusal or push; raises for others

---@param max_reply integer bytes
---@return braid.core.RespParser
function core.resp_parser(max_reply) end

-- ---- SQLite --------------------------------------------------------------------------------------------------------

---@class braid.core.SqliteConnection
---@field query fun(self, sql: string, flags: integer, most: integer, shape: integer, ...): any, any
---@field fetch fun(self, cursor: userdata, flags: integer, most: integer, shape: integer): table?, any
---@field script fun(self, sql: string): integer?, any rows changed and the last id
---@field backup fun(self, target: string|userdata, flags: integer, pages: integer): integer?, any, userdata?
---@field interrupt fun(self)
---@field close fun(self)

---Suspends.
---@param functions lightuserdata braid.sqlite_core
---@param path string
---@param flags integer
---@param ms integer to wait for a lock
---@return braid.core.SqliteConnection?
---@return braid.Error? err
function core.sqlite_open(functions, path, flags, ms) end

---@param text string
---@param max_depth integer?
---@param refuse_big boolean? integers beyond 64 bits
---@param replace boolean? what is not UTF-8
---@return any
function core.json_decode(text, max_depth, refuse_big, replace) end

return core
