# SPDX-License-Identifier: MIT
# `make help` lists the targets.

# ---- the architecture ----------------------------------------------------------------------------------------------
# Bottom up: a file includes only what stands before it, in its own room or in a room below. `make lint` proves it
# (tools/floors.lua reads these lists). A name without a .c is a header, one that ends in .h the header alone; of the
# pollers the system's own is built.
core/base := base item.h status clock list heap deadlines buffer quota limit decimal utf8 visible thread virtual_clock block loading library file_limit nameless_file object bytecode
core/loop := waiter poller poller_epoll poller_kqueue wakeup signal_watch thread_timer choices priorities loop blocking companion
core/inspect := question poke answer wait_record.h wait_graph deadlocks.h sampling.h states deadlocks inspect sampler trace
core/memory := shm range slab array
core/sync := message ring queue primitives counter dict
core/net := socket socket_option datagram resolve names tls.h websocket.h
core/file := open_file file_work content replace copy folder
core/work := tally job_flag job pool thread_pool crew sqlite.h
core/http := openssl curl url patience request coding.h coding_libraries.h coding_zlib coding_brotli coding_zstd coding decoder encoder.h encoding_zlib \
	encoding_brotli encoding_zstd encoder charset response upload broken_pipe lookup transfer.h handle transfer statistics
core/process := terminal user fork_start child io_thread frame.h protocol.h pipe outbox inbox connection.h content connection shm_table object_table proxy.h proxy_queue proxy relay \
	client queue_server object_server marshal worker_handle dispatch process_pool_base worker_life process_pool worker_process
core/web := syntax head chunks target answer transport tls_transport exchange.h web_connection.h web_server.h exchange web_connection \
	nghttp2 http2_stream http2_output http2_answer http2 http1_head http1 web_server control_socket term_guard static_file listen notify
# Plain C on core/work/crew: no Lua, no locks.
kernels := simd.h montgomery prime curve factor sieve circle mandelbrot text digest words row reduce scan radix.h \
	sort unique histogram search elementary.h operation integer expression map matmul count random compiled selection group axis window storage csv lapack
lua/base := lrelease lfolder lregistry lposition ltraceback lerror larg lopen.h
lua/sched := lbottom lreason ltree lseal lcopy lhook lstop.h linsist.h linterrupt ltrace ltaskname lsched.h ldeadlock.h \
	lsentinel lsigint.h lsched ldeadlock lsigint linsist lstop lheld llocals lobject
lua/codec := llist lslice ljsontext ljson.h ljsonencode ljsondecode ljson lresp lname lcode lcodec.h lwire.h lencbuf lpath \
	lwriter lencode ldecode ltext lcodec lcarry.h lcarry lfreight litem
lua/task := lfailure lstep.h ltask lstep ljob lfuture lwrap lscope lwithin lcoroutine
lua/sync := lqueue lprimitivebase lprimitives lcounter ldict larray lmapping lview lselect lmethods
lua/remote := lcall lremotequeue lremoteprimitives lremote
lua/state := lstdin lstate lsample lstates lquestion lwatchdog
lua/pool := lloaders lworker.h lworkerjob lworkergarbage lworkerserve lworker lpooljob lpool lworkerhandle
lua/io := ltls.h lfd ltls lmessages lsignal lnet ludp lsocket lfile lprocess lshell lrequest lfetch lcharset ltarget lsqlitevalue lsqlite
lua/web := lserver.h lwebfile lcoding lexchange lserver larrival lsupervise
lua/turn := lobserver lcounts lwaits lturn lsimulation lend lscript
lua/kernels := lkernel lnumbers lworkloads lrow lvectors lmap lkernelcache lcompiled lselection lgroup lmatrix lstorage lcsv llapack
lua := lmachine lholdings lopen
# WebSockets are a module of their own, for they need wslay and zlib.
core/websocket := sha1 text_check deflate websocket
lua/websocket := lwebsocket
# So is the client for PostgreSQL, for a machine without libpq.
core/postgres := cancel
lua/postgres := lpgerror lpgtype lpgresult lpgconnection lpganswer lpostgres
# Only this module is linked with libsqlite3: the rest calls it through core/work/sqlite.h.
core/sqlite := name statement engine
lua/sqlite := lsqliteopen
# So is the client for NATS; it needs the system's libcrypto, too, as libnats does.
core/cluster := nats_link signature
lua/cluster := lnats

# TLS is a module of its own: only it is linked with OpenSSL. The rest calls it through core/net/tls.h.
core/tls := failure certificate transport store sessions tickets context connection.h context connection
lua/tls := ltlsopen.h lx509 lluasec lhmac ltlsopen

CORE_ROOMS := core/base core/loop core/inspect core/memory core/sync core/net core/file core/work core/http core/process core/web
LUA_ROOMS := lua/base lua/sched lua/codec lua/task lua/sync lua/remote lua/state lua/pool lua/io lua/web lua/turn lua/kernels lua

# ---- what the user may set -----------------------------------------------------------------------------------------
LUA ?= lua5.4
PREFIX ?= /usr/local
DESTDIR ?=
LUADIR ?= $(PREFIX)/share/lua/5.4
LIBDIR ?= $(PREFIX)/lib/lua/5.4
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
PCDIR ?= $(PREFIX)/lib/pkgconfig
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
CFLAGS ?= -O3 -g -fno-plt
BUILD ?= build
# Further flags for the compiler and the linker: the sanitizers' (see `asan`).
FLAVOUR ?=

# ---- paths ---------------------------------------------------------------------------------------------------------
# Every path that may come from outside is quoted for the shell. What cannot be is refused, before anything is done: an
# end of line anywhere, what make would have expanded to something else, blanks in the names of make's own targets, and
# what separates or stands for names in Lua's paths.
quote = '$(subst ','\'',$1)'
comma := ,
define NEWLINE


endef
refuse = $(if $(findstring $2,$3),$(error $1 must not hold $4: it cannot be quoted))
ROUND := (
CURLY := {
unmeant = $(subst $$$(CURLY),,$(subst $$$(ROUND),,$(subst $$$$,,$1)))
PLACES := PREFIX DESTDIR LUADIR LIBDIR BINDIR DATADIR MANDIR PCDIR BASHDIR ZSHDIR FISHDIR
$(foreach name,$(PLACES) BUILD CURDIR,$(call refuse,$(name),$(NEWLINE),$($(name)),an end of line))
$(foreach name,$(PLACES) BUILD,$(call refuse,$(name),$$,$(call unmeant,$(value $(name))),a $$ (write $$$$)))
$(foreach name,$(PLACES),$(if $(filter ~%,$($(name))),$(error $(name) must not begin with ~: write $$$$HOME)))
$(if $(word 2,$(BUILD)),$(error BUILD must not hold blanks: make cannot quote the names of its targets))
$(foreach sign,; ?,$(call refuse,the path of this folder,$(sign),$(CURDIR)$(BUILD),$(sign)))

# ---- the machine ---------------------------------------------------------------------------------------------------
SYSTEM := $(shell uname -s)
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
LUA_PC := $(firstword $(foreach pc,lua5.4 lua-5.4 lua54,$(shell pkg-config --exists $(pc) 2>/dev/null && echo $(pc))))
LUA_CFLAGS := $(if $(LUA_PC),$(shell pkg-config --cflags $(LUA_PC)),-I/usr/include/lua5.4)
LUA_ARCHIVE = $(or $(wildcard $(shell pkg-config --variable=libdir $(LUA_PC) 2>/dev/null)/liblua*5.4.a),-llua5.4)
CURL_CFLAGS := $(shell pkg-config --cflags libcurl 2>/dev/null)
OPENSSL_CFLAGS := $(shell pkg-config --cflags openssl 2>/dev/null)
OPENSSL_LIBS := $(or $(shell pkg-config --libs openssl 2>/dev/null),-lssl -lcrypto)
HAVE_OPENSSL := $(shell printf '\#include <openssl/ssl.h>\n\#if OPENSSL_VERSION_NUMBER < 0x30000000L\n\#error old\n\#endif\n' | \
	$(CC) $(OPENSSL_CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)
WSLAY_CFLAGS := $(shell pkg-config --cflags zlib 2>/dev/null)
WSLAY_LIBS := -lwslay $(or $(shell pkg-config --libs zlib 2>/dev/null),-lz)
HAVE_WSLAY := $(shell printf '\#include <wslay/wslay.h>\n\#include <zlib.h>\n' | $(CC) $(WSLAY_CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)

PQ_CFLAGS := $(shell pkg-config --cflags libpq 2>/dev/null)
PQ_LIBS := $(or $(shell pkg-config --libs libpq 2>/dev/null),-lpq)
SQLITE_CFLAGS := $(shell pkg-config --cflags sqlite3 2>/dev/null)
SQLITE_LIBS := $(or $(shell pkg-config --libs sqlite3 2>/dev/null),-lsqlite3)
HAVE_SQLITE := $(shell printf '\#include <sqlite3.h>\n\#if SQLITE_VERSION_NUMBER < 3037000\n\#error old\n\#endif\n' | \
	$(CC) $(SQLITE_CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)
NATS_LIBS := -lnats -lcrypto
HAVE_NATS := $(if $(filter Linux,$(SYSTEM)),$(shell printf '\#include <nats/nats.h>\n\#include <openssl/evp.h>\n' | \
	$(CC) $(OPENSSL_CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes))
HAVE_PQ := $(shell printf '\#include <libpq-fe.h>\n\#ifndef LIBPQ_HAS_PIPELINING\n\#error old\n\#endif\n' | \
	$(CC) $(PQ_CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)

ifeq ($(SYSTEM),Darwin)
MODULE_LDFLAGS := -bundle -undefined dynamic_lookup -liconv
HOST_LDFLAGS :=
else
MODULE_LDFLAGS := -shared
HOST_LDFLAGS := -Wl,-E
endif
FOREIGN_POLLER := $(if $(filter Linux,$(SYSTEM)),poller_kqueue,poller_epoll)

STRICT := -std=c11 -D_GNU_SOURCE -Icsrc -fPIC -fvisibility=hidden -pthread -Wall -Wextra -Wshadow -Wconversion \
	-Wstrict-prototypes -Wmissing-prototypes -Werror=implicit-function-declaration $(if $(CI),-Werror)
# The modules are optimized as a whole where the compiler is GCC: switches and requests are some 4 % cheaper. The objects
# hold plain code as well, of which the tests are linked.
GCC := $(findstring Free Software Foundation,$(shell $(CC) --version 2>/dev/null))
LTO = $(if $(FLAVOUR),,$(if $(GCC),-flto=auto -ffat-lto-objects))
PLAIN = $(if $(GCC),-fno-lto)
COMPILE = $(CC) $(STRICT) $(CFLAGS) $(FLAVOUR) $(LTO) $(MATH) $(LUA_CFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS) $(WSLAY_CFLAGS) $(PQ_CFLAGS) $(SQLITE_CFLAGS) -MMD -MP -c

# ---- files ---------------------------------------------------------------------------------------------------------
sources = $(foreach room,$1,$(wildcard $(patsubst %,csrc/$(room)/%.c,$(filter-out $(FOREIGN_POLLER),$($(room))))))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$1)

CORE_OBJECTS := $(call objects,$(call sources,$(CORE_ROOMS)))
KERNEL_OBJECTS := $(call objects,$(call sources,kernels))
LUA_OBJECTS := $(call objects,$(call sources,$(LUA_ROOMS)))
TLS_OBJECTS := $(call objects,$(call sources,core/tls lua/tls))
TLS_GROUND := $(call objects,csrc/core/base/buffer.c)
WEBSOCKET_OBJECTS := $(call objects,$(call sources,core/websocket lua/websocket))
WEBSOCKET_GROUND := $(call objects,csrc/core/base/buffer.c csrc/core/base/utf8.c)
POSTGRES_OBJECTS := $(call objects,$(call sources,core/postgres lua/postgres))
POSTGRES_GROUND := $(call objects,csrc/core/base/decimal.c)
SQLITE_OBJECTS := $(call objects,$(call sources,core/sqlite lua/sqlite))
SQLITE_GROUND := $(call objects,csrc/core/base/buffer.c)
CLUSTER_OBJECTS := $(call objects,$(call sources,core/cluster lua/cluster))
# A build that counts what is passed (see `coverage`): what its programs have in addition.
COUNTS := $(findstring --coverage,$(FLAVOUR))
COUNTING := $(if $(COUNTS),$(call objects,spec/coverage/exit.c))
counting = $(if $(COUNTS),$(patsubst %,-Wl$(comma)--wrap=%,$1))
C_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard spec/core/*_test.c))
ifeq ($(SYSTEM),Darwin)
C_TESTS := $(filter-out %memory_test,$(C_TESTS)) # its linker cannot wrap
endif
WEBSOCKET_TEST := $(BUILD)/spec/core/websocket_test
ifeq ($(HAVE_WSLAY),)
C_TESTS := $(filter-out $(WEBSOCKET_TEST),$(C_TESTS))
endif
SPECS := $(sort $(shell find spec -name '*_spec.lua'))
EXAMPLES := $(filter-out examples/tour.lua examples/delay_server.lua,$(sort $(wildcard examples/*.lua)))

CORE_MODULE := $(BUILD)/braid/core.so
POSTGRES_MODULE := $(BUILD)/braid/postgres_core.so
SQLITE_MODULE := $(BUILD)/braid/sqlite_core.so
CLUSTER_MODULE := $(BUILD)/braid/cluster_core.so
TLS_MODULE := $(BUILD)/braid/tls_core.so
WEBSOCKET_MODULE := $(BUILD)/braid/websocket_core.so
MODULES := $(CORE_MODULE) $(if $(HAVE_OPENSSL),$(TLS_MODULE),without_openssl) \
	$(if $(HAVE_WSLAY),$(WEBSOCKET_MODULE),without_wslay) $(if $(HAVE_PQ),$(POSTGRES_MODULE),without_pq) \
	$(if $(HAVE_SQLITE),$(SQLITE_MODULE),without_sqlite) $(if $(HAVE_NATS),$(CLUSTER_MODULE),without_nats)

# The tree's own paths go first; the empty last entry stands for Lua's defaults.
TREE_LUA_PATH := $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;
TREE_LUA_CPATH := $(abspath $(BUILD))/?.so;;

TREE := LUA_PATH=$(call quote,$(TREE_LUA_PATH)) LUA_CPATH=$(call quote,$(TREE_LUA_CPATH))

# ---- building ------------------------------------------------------------------------------------------------------
QUIET := $(if $(V),,@)
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := all

all: $(MODULES) ## build the C modules into build/ (V=1 shows the commands)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D) || { echo "Where this tree cannot be written, name another folder: make BUILD=/tmp/braid-build" >&2; exit 1; }
	$(if $(V),,@echo "  CC    $<")
	$(QUIET)$(COMPILE) -o $@ $<

# sqrt and floor in vectors; a * b + c in one instruction.
$(KERNEL_OBJECTS): LTO := $(if $(COUNTS),-O1) # each has its own rules for floating point; at -O0 counting is slow
$(BUILD)/obj/csrc/kernels/operation.o $(BUILD)/obj/csrc/kernels/integer.o: MATH := -fno-math-errno -fno-trapping-math
$(BUILD)/obj/csrc/kernels/matmul.o: MATH := -ffp-contract=fast

$(CORE_MODULE): $(CORE_OBJECTS) $(KERNEL_OBJECTS) $(LUA_OBJECTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ -lpthread

# Threads may still use it when the state that has loaded it closes: it stays.
$(TLS_MODULE): MODULE_LDFLAGS += $(if $(filter Darwin,$(SYSTEM)),,-Xlinker -z -Xlinker nodelete)
$(TLS_MODULE): $(TLS_OBJECTS) $(TLS_GROUND)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ $(OPENSSL_LIBS) -lpthread

without_openssl:
	@echo "TLS of braid.net is left out: OpenSSL 3 was not found (Debian: libssl-dev)."

$(WEBSOCKET_MODULE): $(WEBSOCKET_OBJECTS) $(WEBSOCKET_GROUND)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ $(WSLAY_LIBS)

without_wslay:
	@echo "braid.websocket is left out: wslay/wslay.h or zlib.h was not found (Debian: libwslay-dev, zlib1g-dev)."

# A thread may still ask a server to end a query when a state closes: it stays.
$(POSTGRES_MODULE): MODULE_LDFLAGS += $(if $(filter Darwin,$(SYSTEM)),,-Xlinker -z -Xlinker nodelete)
$(POSTGRES_MODULE): $(POSTGRES_OBJECTS) $(POSTGRES_GROUND)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ $(PQ_LIBS) -lpthread

without_pq:
	@echo "braid.postgres is left out: libpq-fe.h of libpq 14 or later was not found (Debian: libpq-dev)."

# Threads run its code, also after the state has closed that has loaded it.
$(SQLITE_MODULE): MODULE_LDFLAGS += $(if $(filter Darwin,$(SYSTEM)),,-Xlinker -z -Xlinker nodelete)
$(SQLITE_MODULE): $(SQLITE_OBJECTS) $(SQLITE_GROUND)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ $(SQLITE_LIBS)

without_sqlite:
	@echo "braid.sqlite is left out: sqlite3.h of SQLite 3.37 or later was not found (Debian: libsqlite3-dev)."

# The client's threads run its code, also after the state has closed that has loaded it.
$(CLUSTER_MODULE): MODULE_LDFLAGS += -Xlinker -z -Xlinker nodelete
$(CLUSTER_MODULE): $(CLUSTER_OBJECTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(LTO) $(LDFLAGS) -o $@ $^ $(NATS_LIBS) -lpthread

without_nats:
	@echo "braid.cluster is left out: nats/nats.h or openssl/evp.h was not found (Debian: libnats-dev, libssl-dev)."

# C tests know no Lua. Those of memory make allocations fail.
c_tests: $(C_TESTS)

$(BUILD)/spec/core/memory_test $(BUILD)/spec/core/process_memory_test: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
$(C_TESTS): LDFLAGS += $(call counting,_exit)
$(WEBSOCKET_TEST): $(call objects,$(call sources,core/websocket))
$(WEBSOCKET_TEST): LIBS := $(WSLAY_LIBS)
$(C_TESTS): $(BUILD)/%: $(BUILD)/obj/%.o $(COUNTING) $(CORE_OBJECTS) $(KERNEL_OBJECTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(CFLAGS) $(FLAVOUR) $(PLAIN) $(LDFLAGS) -o $@ $^ $(LIBS) -lpthread -lm -ldl

# The server that misbehaves for spec/http_spec.lua; never sanitized.
RAW_SERVER := build/raw_server
$(RAW_SERVER): spec/raw_server.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(STRICT) -O1 -o $@ $<

# What specs load: a second Lua state, fork, a host's extra space, a sandbox; never sanitized.
SHIP := $(addprefix $(BUILD)/,ship.so forker.so extra_space.so sandbox.so)
$(SHIP): $(BUILD)/%.so: spec/%.c csrc/core/sync/message.h
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(MODULE_LDFLAGS) $(filter-out -fvisibility=hidden,$(STRICT)) -O1 $(LUA_CFLAGS) -o $@ $<

# A Lua that is older than braid can do with.
OLD_LUA := $(BUILD)/old_lua
$(OLD_LUA): spec/old_lua.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(HOST_LDFLAGS) $(filter-out -fvisibility=hidden,$(STRICT)) -O1 $(LUA_CFLAGS) -o $@ $< \
		-Wl,-z,muldefs $(LUA_ARCHIVE) -lm -ldl

# Every allocation fails once while values travel; with Lua linked in, so that its allocations fail, too.
CODEC_MEMORY := $(if $(filter Darwin,$(SYSTEM)),,$(BUILD)/codec_memory)
$(BUILD)/codec_memory: $(call objects,spec/codec_memory.c) $(CORE_OBJECTS) $(KERNEL_OBJECTS) $(LUA_OBJECTS)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(CFLAGS) $(FLAVOUR) $(PLAIN) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free -o $@ $^ \
		$(LUA_ARCHIVE) -lpthread -lm -ldl

HELPERS := $(RAW_SERVER) $(SHIP) $(OLD_LUA)

# The interpreter with braid linked in, for the sanitizers and for `coverage`.
HOST := $(BUILD)/host
host: $(HOST)

$(HOST): LDFLAGS += $(call counting,lua_newstate lua_sethook lua_gethook lua_gethookmask _exit)
$(HOST): $(call objects,spec/host.c $(if $(COUNTS),spec/coverage/lines.c)) $(COUNTING) $(CORE_OBJECTS) $(KERNEL_OBJECTS) \
	$(LUA_OBJECTS) $(if $(HAVE_OPENSSL),$(TLS_OBJECTS)) $(if $(HAVE_WSLAY),$(WEBSOCKET_OBJECTS)) \
	$(if $(HAVE_PQ),$(POSTGRES_OBJECTS)) $(if $(HAVE_SQLITE),$(SQLITE_OBJECTS)) $(if $(HAVE_NATS),$(CLUSTER_OBJECTS))
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(HOST_LDFLAGS) $(CFLAGS) $(FLAVOUR) $(PLAIN) $(LDFLAGS) -o $@ $^ $(LUA_ARCHIVE) \
		$(if $(HAVE_OPENSSL),$(OPENSSL_LIBS)) $(if $(HAVE_WSLAY),$(WSLAY_LIBS)) $(if $(HAVE_PQ),$(PQ_LIBS)) \
		$(if $(HAVE_SQLITE),$(SQLITE_LIBS)) $(if $(HAVE_NATS),$(NATS_LIBS)) -lpthread -lm -ldl

# ---- testing -------------------------------------------------------------------------------------------------------
# A suite is a list of commands (see tools/suite.lua): each of these files, run by $1.
each = $(foreach file,$2,'$(strip $1 $(file))')
C_FILES := $(wildcard csrc/*/*.[ch] csrc/*/*/*.[ch] spec/*.[ch] spec/core/*.[ch] spec/coverage/*.c spec/fuzz/*.c)
SECONDS := 900

# Each sanitizer has a tree of objects of its own. TSan dislikes too much randomness in addresses.
ASAN := BUILD=build/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' FLAVOUR='-fsanitize=address'
UBSAN := BUILD=build/ubsan CFLAGS='-O1 -g' FLAVOUR='-fsanitize=undefined -fno-sanitize-recover=undefined'
TSAN := BUILD=build/tsan CFLAGS='-O1 -g' FLAVOUR='-fsanitize=thread'
CALM = $(shell setarch -R true 2>/dev/null && echo setarch -R)
HAVE_TSAN = $(shell mkdir -p build/tsan && echo 'int main(void) { return 0; }' | $(CC) -fsanitize=thread -x c -o \
	build/tsan/probe - 2>/dev/null && $(CALM) build/tsan/probe 2>/dev/null && echo yes)

test: ## install what is missing, build, run everything; the last line counts
	@tools/packages.sh build test
	@$(MAKE) -j$(CORES) all c_tests $(HELPERS)
	@$(if $(HAVE_TSAN),$(MAKE) -j$(CORES) $(TSAN) c_tests,echo 'TSan does not work here: the C tests are run without it.')
	@$(TREE) $(LUA) tools/suite.lua $(SECONDS) '$(MAKE) -s lint' $(call each,,$(C_TESTS)) \
		$(if $(HAVE_TSAN),$(call each,$(CALM),$(C_TESTS:$(BUILD)/%=build/tsan/%))) \
		$(call each,$(LUA) spec/run.lua,$(SPECS)) $(call each,$(LUA),$(EXAMPLES))

lint: ## luacheck, the floors, and the format where clang-format 14 is there
	@luacheck --quiet --no-color .
	@$(LUA) tools/floors.lua
	@$(LUA) tools/variables.lua
	@$(LUA) tools/core_names.lua
	@if [ -f $(CORE_MODULE) ]; then $(TREE) $(LUA) tools/generate.lua --check; fi
	@if clang-format --version 2>/dev/null | grep -q 'version 14'; then for file in $(C_FILES); do \
		clang-format $$file | cmp -s - $$file || { echo "$$file: not in the format that 'make format' gives it"; bad=1; }; \
	done; test -z "$$bad"; fi

format: ## put the C files into the project's format
	clang-format -i $(C_FILES)

asan: ## C tests and specs under the address sanitizer, with its search for leaks
	@$(MAKE) -j$(CORES) $(ASAN) sanitized

ubsan: ## the same under the sanitizer for undefined behaviour
	@$(MAKE) -j$(CORES) $(UBSAN) sanitized

tsan: ## the same under the thread sanitizer
	@BRAID_LATE_SIGNALS=1 $(MAKE) -j$(CORES) $(TSAN) sanitized

sanitized: c_tests host $(HELPERS)
	@$(TREE) BRAID_SLOWNESS=8 BRAID_LUA=$(call quote,$(abspath $(HOST))) $(LUA) tools/suite.lua $(SECONDS) \
		$(call each,$(CALM),$(C_TESTS)) \
		$(call each,$(CALM) $(HOST) spec/run.lua,$(SPECS)) $(call each,$(CALM) $(HOST),$(EXAMPLES))

# The interpreter is the host here, too: so each state of Lua marks its lines.
COVERAGE := BUILD=build/coverage CFLAGS='-O0 -g' FLAVOUR='--coverage -fprofile-update=atomic'
coverage: ## C tests and specs; which lines and branches they pass, by room (GCC)
	@tools/packages.sh build test
	@rm -rf build/coverage/lines && mkdir -p build/coverage/lines && find build/coverage -name '*.gcda' -delete
	@-BRAID_LINES=$(call quote,$(abspath build/coverage/lines)) $(MAKE) -j$(CORES) $(COVERAGE) sanitized
	@$(LUA) tools/coverage.lua build/coverage

# Under valgrind a vfork is a fork, so a program that cannot be started is noticed too late; and it knows no pidfd_open.
valgrind: all c_tests ## C tests and one spec under valgrind
	@tools/packages.sh build test valgrind
	@$(TREE) BRAID_SLOWNESS=30 $(LUA) tools/suite.lua $(SECONDS) \
		$(call each,$(VALGRIND),$(filter-out %/child_test %/worker_handle_test %/process_pool_test %/question_test,$(C_TESTS))) \
		$(call each,$(VALGRIND) $(LUA) spec/run.lua,$(filter %/queue_spec.lua,$(SPECS)))

VALGRIND := valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite

torture: all c_tests $(HELPERS) $(CODEC_MEMORY) ## the fiercest garbage collection, allocations that fail
	@$(TREE) BRAID_SLOWNESS=8 $(LUA) tools/suite.lua $(SECONDS) \
		$(call each,,$(filter %memory_test,$(C_TESTS)) $(CODEC_MEMORY)) \
		$(call each,BRAID_GC=incremental $(LUA) spec/run.lua,$(SPECS)) \
		$(call each,BRAID_GC=generational $(LUA) spec/run.lua,$(SPECS))

# Items in queues while tasks, threads and processes come and go: plainly and under each sanitizer, for STRESS_SECONDS.
STRESS_SECONDS := 600
stress: all ## queues under cancels and kills, waits that all end, for STRESS_SECONDS, under each sanitizer, too; a cluster
	$(TREE) $(LUA) spec/conservation.lua $(STRESS_SECONDS)
	$(TREE) $(LUA) spec/calm.lua $(STRESS_SECONDS)
	$(TREE) $(LUA) spec/cluster_stress.lua
	@set -e; for flavour in asan ubsan tsan; do $(MAKE) $${flavour}_stress; done

asan_stress:
	@$(MAKE) -j$(CORES) $(ASAN) sanitized_stress

ubsan_stress:
	@$(MAKE) -j$(CORES) $(UBSAN) sanitized_stress

tsan_stress:
	@BRAID_LATE_SIGNALS=1 $(MAKE) -j$(CORES) $(TSAN) sanitized_stress

sanitized_stress: host
	$(TREE) BRAID_SLOWNESS=8 BRAID_LUA=$(abspath $(HOST)) $(CALM) $(HOST) spec/conservation.lua $(STRESS_SECONDS)
	$(TREE) BRAID_SLOWNESS=8 BRAID_LUA=$(abspath $(HOST)) $(CALM) $(HOST) spec/calm.lua $(STRESS_SECONDS)

# Any bytes for what reads bytes (clang's libFuzzer), each for FUZZ_SECONDS; begins with messages and texts of every kind.
FUZZ_SECONDS := 600
FUZZ := build/fuzz
FUZZED := decode json frames $(if $(HAVE_WSLAY),websocket) http
FUZZERS := $(FUZZED:%=$(FUZZ)/%_fuzzer)
$(BUILD)/websocket_fuzzer: $(call objects,$(call sources,core/websocket))
$(BUILD)/websocket_fuzzer: LIBS := $(WSLAY_LIBS)
$(BUILD)/%_fuzzer: $(BUILD)/obj/spec/fuzz/%.o $(CORE_OBJECTS) $(KERNEL_OBJECTS) $(LUA_OBJECTS)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) -fsanitize=fuzzer,address -o $@ $^ $(LUA_ARCHIVE) $(LIBS) -lm -ldl

fuzz: all $(SHIP) ## random bytes against the decoders, and between processes
	@mkdir -p $(foreach name,$(FUZZED),$(FUZZ)/$(name)_seeds $(FUZZ)/$(name)_found)
	@$(TREE) $(LUA) spec/fuzz/seeds.lua $(FUZZ)
	@$(MAKE) -j$(CORES) BUILD=$(FUZZ) CC=clang CFLAGS='-O1 -g' FLAVOUR='-fsanitize=fuzzer-no-link,address' $(FUZZERS)
	@set -e; for name in $(FUZZED); do $(FUZZ)/$${name}_fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 \
		-rss_limit_mb=4096 -artifact_prefix=$(FUZZ)/ $(FUZZ)/$${name}_found $(FUZZ)/$${name}_seeds; done

# ---- other machines and libraries ----------------------------------------------------------------------------------
# The suite under $(ABROAD), an interpreter that cannot load what build/ has. bin/braid and busted look there first: so
# the modules are loaded from $(BUILD) before they look. spec/elsewhere.lua says what is left out, and why.
PRELOADED = for _, name in ipairs { "core", "tls_core", "websocket_core", "postgres_core", "sqlite_core", "cluster_core" } do package.preload["braid." .. name] = package.loadlib( \
	[==[$(abspath $(BUILD))/braid/]==] .. name .. ".so", "luaopen_braid_" .. name) end
abroad = $(TREE) LUA_INIT=$(call quote,$(PRELOADED)) BRAID_ELSEWHERE=$1 BRAID_LUA=$(call quote,$(CURDIR)/$(ABROAD)) \
	$2 $(LUA) tools/suite.lua 3600 $3 $(call each,$(ABROAD) spec/run.lua,$(SPECS)) $(call each,$(ABROAD),$4)

# By Debian's packages for arm64, in a folder, and qemu-user. C tests are left out that start programs which are not there
# (a vfork is a fork, as under valgrind), those that want MADV_REMOVE, which qemu ignores, and that of bad descriptors,
# of which qemu takes more out of a message than there is room for.
ARM64 := build/arm64
ARM64_ROOT := $(ARM64)/root
ARM64_PACKAGES := lua5.4 liblua5.4-dev libcurl4-openssl-dev libssl-dev libwslay-dev zlib1g-dev libpq-dev libsqlite3-dev libnats-dev lua-busted lua-cjson lua-socket
arm64: ## build for arm64 (Debian) and run the tests under qemu-user, for half an hour or more
	@tools/packages.sh build test arm64
	@tools/debian.sh packages arm64 $(ARM64_ROOT) $(ARM64_PACKAGES)
	@$(MAKE) $(RAW_SERVER)
	@$(MAKE) -j$(CORES) BUILD=$(ARM64) CC='aarch64-linux-gnu-gcc --sysroot=$(ARM64_ROOT)' LUA_CFLAGS=-I=/usr/include/lua5.4 \
		CURL_CFLAGS= OPENSSL_CFLAGS= OPENSSL_LIBS='-lssl -lcrypto' WSLAY_CFLAGS= WSLAY_LIBS='-lwslay -lz' PQ_CFLAGS=-I=/usr/include/postgresql PQ_LIBS=-lpq SQLITE_CFLAGS= SQLITE_LIBS=-lsqlite3 arm64_tests

arm64_tests: ABROAD := tools/arm64/lua5.4
arm64_tests: all c_tests $(SHIP)
	@$(call abroad,qemu,BRAID_SLOWNESS=8,$(call each,qemu-aarch64-static -L $(ARM64_ROOT),$(filter-out %/child_test \
		%/worker_handle_test %/process_pool_test %/array_test %/shm_test %/shm_table_test,$(C_TESTS))),$(EXAMPLES))

# With what Debian has of musl, which is no libcurl, no OpenSSL.
MUSL := build/musl
musl: ## build with musl (Debian), Lua as well, and run the tests
	@tools/packages.sh build test musl
	@tools/debian.sh sources $(MUSL)/source lua5.4 lua-filesystem lua-cjson luasocket
	@tools/musl.sh $(MUSL)
	@$(MAKE) $(RAW_SERVER)
	@$(MAKE) -j$(CORES) BUILD=$(MUSL) CC=musl-gcc LUA_CFLAGS='-I$(MUSL)/source/lua5.4/src -I$(MUSL)/include' \
		CURL_CFLAGS= HAVE_OPENSSL= HAVE_WSLAY= HAVE_PQ= HAVE_SQLITE= HAVE_NATS= musl_tests

musl_tests: ABROAD := $(MUSL)/bin/lua5.4
musl_tests: $(CORE_MODULE) c_tests $(SHIP)
	@$(call abroad,musl,,$(call each,,$(C_TESTS)))

check: ## all of the above
	@set -e; for target in test asan ubsan tsan valgrind torture; do $(MAKE) $$target; done

# ---- using ---------------------------------------------------------------------------------------------------------
# In the language of the terminal: Chinese or English.
DEMO_LANG = $(if $(filter zh%,$(firstword $(LC_ALL) $(LC_MESSAGES) $(LANG))),zh,en)
demo: ## install what is missing, build, fetch five pages one by one and at once
	@tools/packages.sh build
	@$(MAKE) -j$(CORES) all
	@$(TREE) $(LUA) examples/fetch.lua --lang $(DEMO_LANG)

env: ## print the lines that let Lua and the shell find the tree: eval "$(make -s env)"
	@printf '%s\n' $(call quote,export $(TREE);export PATH=$(call quote,$(CURDIR)/bin:)"$$PATH")

bench: all ## run the programs behind the README's figures
	@for program in $(sort $(wildcard bench/*.lua)); do echo "# $$program"; $(TREE) $(LUA) $$program || exit 1; done

SHARING_OBJECTS := $(call objects,spec/sharing/sharing.c) $(call objects,spec/sharing/lines.c)
$(call objects,spec/sharing/lines.c): override FLAVOUR := # it is what the others call
$(BUILD)/sharing: $(SHARING_OBJECTS) $(CORE_OBJECTS) $(KERNEL_OBJECTS)
	$(if $(V),,@echo "  LINK  $@")
	$(QUIET)$(CC) $(CFLAGS) $(PLAIN) $(LDFLAGS) -Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_trylock \
		-Wl,--wrap=pthread_mutex_unlock -o $@ $^ -lpthread -lm -ldl

sharing: ## counts the cache lines that independent queues, pools and loops share: there must be none
	@$(MAKE) -s BUILD=build/sharing CFLAGS='-O1 -g -Wno-tsan' FLAVOUR=-fsanitize=thread build/sharing/sharing
	@build/sharing/sharing

# More rounds make narrower intervals. A program may have arguments: PROGRAMS='"tasks spawn 1000000" queue'.
REV ?= HEAD~1
ROUNDS ?= 9
PROGRAMS ?= tasks queue pool codec
bench-compare: ## the figures of bench/ (PROGRAMS) beside those of another revision, REV=...; ROUNDS, default 9
	@$(LUA) tools/compare.lua $(call quote,$(MAKE)) $(call quote,$(LUA)) $(call quote,$(REV)) $(ROUNDS) $(PROGRAMS)

docs: all ## the manual as a site, into build/docs (index.html); says what it lacks
	@rm -rf build/docs && mkdir -p build/docs
	@$(TREE) $(LUA) tools/site.lua build/docs

generated: all ## write anew what is made of the comments: types/braid.lua, man/, completions/
	@$(TREE) $(LUA) tools/generate.lua

docs-check: all ## every public function has its comment, every Lua block of the guides runs
	@$(TREE) $(LUA) tools/docs.lua

INSTALL = $(foreach name,$(PLACES),$(name)=$(call quote,$($(name)))) tools/install.sh

install: all ## into PREFIX (/usr/local), below DESTDIR
	@$(INSTALL) install $(filter %.so,$(MODULES))

uninstall: ## take out exactly what was installed
	@$(INSTALL) uninstall

# What the rockspec builds.
rock_modules:
	@$(MAKE) -j$(CORES) all

rock: ## build the rock into a tree of its own and use it from an empty folder
	@tools/rock.sh

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

.PHONY: all without_openssl without_wslay without_pq without_sqlite without_nats c_tests host test lint format asan ubsan tsan sanitized coverage valgrind torture check demo \
	env fuzz stress asan_stress ubsan_stress tsan_stress sanitized_stress bench docs docs-check generated install uninstall rock_modules \
	rock clean help arm64 arm64_tests musl musl_tests
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
