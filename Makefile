# field2mqtt. Nothing is written outside build/ except by `make install` (and packages by `make deps`).
#:
#: make               build the program and its plug-ins; VARIANT=debug (default), release, asan, tsan, coverage
#: make demo          a simulated plant, a real broker, and the values as they arrive there; Ctrl-C ends it
#: make test          all tests; in parts: make check (units), make contract (drivers), make e2e
#: make install       to PREFIX=/usr/local, below DESTDIR; the release build unless VARIANT says otherwise
#: make deb           the Debian packages in build/deb
#: make lint          clang-tidy, cppcheck and our own checks; make format-check, make format
#: make faults        lets fail what can fail around it, and says what held: build/faults.md
#: make fuzz          every parser for FUZZ_SECONDS=300 of random input; make fuzz-smoke: for 20 s
#: make coverage      what the tests reach, file by file, and whether that is enough: build/coverage.txt, build/coverage/report
#: make bench         the gateway against references of the same run: build/bench.md, build/bench.svg; ROWS="flat rtu"
#: make bench-outbox  the outbox on disk against plain SQLite, and in an outage: build/bench-outbox.md
#: make bench-commands  from the PUBLISH of a command to its write on a saturated line; the polls that a flood leaves
#: make bench-serial  frames a second of one serial port and what they cost, against a bare loop that reads
#: make bench-publisher  what publishing costs, in processor seconds per 100,000 values, by QoS and max_inflight
#: make valgrind      units and a run of the gateway under memcheck: no wrong access, nothing lost
#: make soak          HOURS=0.5 of work with outages, reloads and commands, then an outage of 10 minutes: build/soak.md, build/soak.svg
#: make keys          docs/keys.md from the tables of keys
#: make man           manual pages from docs/, in build/man; needs lowdown
#: make deps          install the Debian packages that are missing
#: make clean         forget all that was built
#:
VARIANT ?= debug
B       := build/$(VARIANT)
PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  := /usr/bin/python3
export FIELD2MQTT_BUILD := $(B)

CFLAGS_debug    := -O0
CFLAGS_release  := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
CFLAGS_asan     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan     := -O1 -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_coverage := -O0 --coverage
CFLAGS_fuzz     := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifeq ($(origin CFLAGS_$(VARIANT)),undefined)
$(error VARIANT=$(VARIANT) is unknown: debug, release, asan, tsan, coverage or fuzz)
endif

pkg      = $(shell pkg-config $(1) 2>/dev/null)
# Files over 2 GB, inodes of any disk and years after 2037 also where a long has 32 bits.
CPPFLAGS += -I. -I$(B)/include -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -MMD -MP
CFLAGS   += -std=c11 -g -fPIC -pthread -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wundef $(WERROR) $(CFLAGS_$(VARIANT))
LDFLAGS  += -pthread $(filter -fsanitize% --coverage,$(CFLAGS_$(VARIANT))) $(LDFLAGS_$(VARIANT))
LIBS     := $(call pkg,--libs yaml-0.1 jansson libsystemd sqlite3 libmicrohttpd) -lpaho-mqtt3as -lssl -lcrypto -lm -ldl
TESTLIBS := $(call pkg,--libs cmocka)

core_src  := $(filter-out gateway/main.c,$(wildcard gateway/*.c))
drivers   := $(filter-out common,$(patsubst drivers/%/,%,$(sort $(dir $(wildcard drivers/*/*.c)))))
obj        = $(patsubst %.c,$(B)/%.o,$(1))
driver_obj = $(call obj,$(wildcard drivers/$(1)/*.c)) $(B)/libdriver.a
# A folder without NAME.c holds parts of a driver that is not there yet.
plugins   := $(foreach d,$(drivers),$(if $(wildcard drivers/$(d)/$(d).c),$(B)/drivers/$(d).so))
unit      := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
contract  := $(patsubst %.c,$(B)/%,$(wildcard tests/contract/test_*.c))
exe       := $(B)/field2mqtt
header    := $(B)/include/field2mqtt/driver.h
-include $(wildcard drivers/*/driver.mk)

all: $(exe) $(plugins) $(header)

# `make V=1` shows the commands.
say = $(if $(V),,@echo '  $(1)  $@';)

$(B)/%.o: %.c Makefile | $(header)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/drivers/%.o: CFLAGS += -fvisibility=hidden

$(B)/libgateway.a: $(call obj,$(core_src))
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^
$(exe): $(B)/gateway/main.o $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ $(LDFLAGS) $(LIBS)

# What drivers have in common: each takes what it calls, and exports none of it.
$(B)/libdriver.a: $(call obj,$(wildcard drivers/common/*.c))
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

# A driver is one folder; drivers/NAME/driver.mk may set LIBS_NAME. A plug-in that others may write is not loaded.
define driver_rules
$(B)/drivers/$(1).so: $$(call driver_obj,$(1))
	$$(call say,LD)$$(CC) -shared -o $$@ $$^ $$(LDFLAGS_shared) $$(LIBS_$(1))
	@chmod go-w $$@
$(B)/tests/unit/test_$(1)_%: $(B)/tests/unit/test_$(1)_%.o $$(call driver_obj,$(1)) $(B)/libgateway.a
	$$(call say,LD)$$(CC) -o $$@ $$^ $$(LDFLAGS) $$(LIBS_$(1)) $$(LIBS) $$(TESTLIBS)
endef
LDFLAGS_shared := $(filter-out -pie,$(LDFLAGS))
$(foreach d,$(drivers),$(eval $(call driver_rules,$(d))))

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ $(LDFLAGS) $(LIBS) $(TESTLIBS)
contract_common := $(call obj,$(filter-out $(wildcard tests/contract/test_*.c),$(wildcard tests/contract/*.c tests/fake/*.c)))
$(B)/tests/contract/%: $(B)/tests/contract/%.o $(contract_common) $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ $(LDFLAGS) $(LIBS) $(TESTLIBS)

# The one header that a driver needs: err.h, value.h and driver.h in one.
$(header): gateway/err.h gateway/value.h gateway/driver.h
	@mkdir -p $(@D)
	sed '/^#include "gateway\//d' $^ >$@

$(B)/gateway/http_page.o: $(wildcard gateway/page/*)

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- Tests. Each part ends non-zero when anything in it failed; `test` runs all parts and then tells. ----

# What was missing at the start is installed now: a second make asks pkg-config again.
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
deps:
	.ci/install-packages
test: deps
	@$(MAKE) --no-print-directory $(jobs) test-programs
	@status=0; for part in check contract e2e; do \
	    echo "== $$part"; $(MAKE) --no-print-directory $$part || status=1; \
	done; exit $$status
test-programs: all $(unit) $(contract)

check: $(unit)
	@tests/run-binaries $(unit)
contract: $(contract) $(plugins)
	@tests/run-binaries $(contract)
# They mostly wait, so more run at a time than there are processors; PYTEST_JOBS=0 runs them one by one.
PYTEST_JOBS ?= 4
e2e: all
	@$(PYTHON) -m pytest -q -n $(PYTEST_JOBS) --dist loadgroup $(PYTEST_FLAGS) tests/e2e

# Fault by fault, with a table of what held; FAULTS="disk memory" only some, SHORT=1 as often as in `make test`.
faults: all $(B)/tests/unit/test_outbox_faults $(B)/tests/unit/test_modbus_faults
	@tests/faults/run $(if $(SHORT),--short) $(FAULTS)

# Units and a run of the gateway under valgrind; not units that try many thousands of inputs or judge times.
not_under_valgrind := %_faults $(addprefix %/test_,mapping modbus_plan number outbox_durable publisher_broker publisher_tls modbus_slave serial_vectors \
    sim_value yaml_tree)
valgrind: all $(unit)
	@tests/valgrind $(filter-out $(not_under_valgrind),$(unit))

# HOURS of work, watched; then an outage of 10 minutes at 1,000 readings a second in each durability. One table for both.
HOURS ?= 0.5
soak:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all
	@FIELD2MQTT_BUILD=build/release $(PYTHON) -B tests/soak/soak.py $(HOURS) --outages

# Random input into every parser, FUZZ_SECONDS for each, under clang's fuzzer with ASan and UBSan. What `make fuzz` finds
# of use is kept in build/fuzz/corpus, and the next run begins with it.
fuzz := $(patsubst %.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/fuzz_serial_%: $(B)/tests/fuzz/fuzz_serial_%.o $(call driver_obj,serial) $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ -fsanitize=fuzzer $(LDFLAGS) $(LIBS_serial) $(LIBS)
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(call driver_obj,modbus) $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ -fsanitize=fuzzer $(LDFLAGS) $(LIBS_modbus) $(LIBS)
fuzz-targets: $(addprefix $(B)/,$(fuzz))
fuzz fuzz-smoke:
	@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang $(jobs) fuzz-targets
	@tests/fuzz/smoke $(or $(FUZZ_SECONDS),$(if $(filter fuzz,$@),300,20)) $(addprefix build/fuzz/,$(fuzz))

# Processor seconds of the gateway per 100,000 values; BUILDS="A B" compares builds in one run.
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/libgateway.a
	$(call say,LD)$(CC) -o $@ $^ $(LDFLAGS) $(LIBS)
$(B)/tests/bench/reference: LIBS += $(call pkg,--cflags --libs libmodbus)
$(B)/tests/bench/reference.o: CPPFLAGS += $(call pkg,--cflags libmodbus)
bench_tools := field sink reference rtu_line yaml_parse outbox_rows serial_line
bench:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all $(addprefix build/release/tests/bench/,$(bench_tools))
	@FIELD2MQTT_BUILD=build/release $(PYTHON) -B tests/bench/bench.py $(ROWS)
bench-outbox:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all build/release/tests/bench/outbox_rows
	@FIELD2MQTT_BUILD=build/release $(PYTHON) -B tests/bench/bench_outbox.py
bench-serial:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all build/release/tests/bench/serial_line
	@FIELD2MQTT_BUILD=build/release $(PYTHON) -B tests/bench/serial_cost.py
bench-commands:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all
	@FIELD2MQTT_BUILD=build/release $(PYTHON) -B tests/bench/command_latency.py
bench-publisher:
	@$(MAKE) --no-print-directory VARIANT=release $(jobs) all
	@$(PYTHON) -B tests/bench/publisher_cost.py $(BUILDS)

# All tests count; COVERAGE_FLAGS="-m quick" is sooner done, and reaches less. Branches that no input can reach do not count.
COVERAGE_LINES    := 90
COVERAGE_BRANCHES := 80
coverage:
	$(MAKE) --no-print-directory VARIANT=coverage $(jobs) test-programs
	find build/coverage -name '*.gcda' -delete
	$(MAKE) --no-print-directory VARIANT=coverage -k check contract e2e PYTEST_FLAGS='$(COVERAGE_FLAGS)'
	@$(MAKE) --no-print-directory coverage-report
coverage-report:
	@mkdir -p build/coverage/report
	gcovr -j 2 --root . --filter gateway/ --filter drivers/ --exclude-unreachable-branches --exclude-throw-branches \
	    --html-details build/coverage/report/index.html --json-summary build/coverage.json build/coverage
	@tests/coverage build/coverage.json $(COVERAGE_LINES) $(COVERAGE_BRANCHES) >build/coverage.txt; status=$$?; \
	    cat build/coverage.txt; exit $$status

# Live values of simulated devices at a real broker, until Ctrl-C or for DEMO_SECONDS.
demo: deps
	@$(MAKE) --no-print-directory $(jobs) VARIANT=release all
	@FIELD2MQTT_BUILD=build/release tests/demo

# ---- Checks that need no run ---------------------------------------------------------------------------

sources := $(wildcard gateway/*.[ch] drivers/*/*.[ch] tests/*/*.[ch])
lint: $(header)
	@status=0; for check in tests/lint/*.sh; do \
	    echo "== $$check"; $$check || { echo "FAILED  $$check"; status=1; }; \
	done; exit $$status
format:
	clang-format -i $(sources)
format-check:
	@clang-format --dry-run -Werror $(sources)

# ---- Installing ----------------------------------------------------------------------------------------

# The program finds its plug-ins and templates relative to itself. Without VARIANT it is the release build.
to     := $(DESTDIR)$(PREFIX)
manual := $(to)/share/doc/field2mqtt
version := $(shell sed -n 's/^\#define GW_VERSION "\(.*\)"/\1/p' gateway/cmd.h)
udev_to := $(to)/lib/udev
install:
	@$(MAKE) --no-print-directory VARIANT=$(if $(filter file,$(origin VARIANT)),release,$(VARIANT)) install-files
install-files: all
	install -d $(to)/bin $(to)/lib/field2mqtt $(to)/include/field2mqtt $(to)/share/field2mqtt/devices \
	    $(manual)/docs $(manual)/config $(manual)/drivers/example
	install -m 755 $(exe) $(to)/bin
	install -m 644 $(plugins) $(to)/lib/field2mqtt
	install -m 644 $(header) $(to)/include/field2mqtt
	install -d $(to)/share/pkgconfig
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'plugindir=$${prefix}/lib/field2mqtt' '' 'Name: field2mqtt' \
	    'Description: header of field2mqtt driver plug-ins' 'Version: $(version)' 'Cflags: -I$${includedir}' >$(to)/share/pkgconfig/field2mqtt.pc
	chmod 644 $(to)/share/pkgconfig/field2mqtt.pc
	install -m 644 $(wildcard config/devices/*.yaml) $(to)/share/field2mqtt/devices
	{ echo '# DELETE THIS LINE when the file says what your plant is: until then the service does not start.'; \
	    cat config/field2mqtt.yaml; } >$(to)/share/field2mqtt/config.yaml
	chmod 644 $(to)/share/field2mqtt/config.yaml
	install -d $(to)/lib/systemd/system $(to)/lib/sysusers.d $(to)/lib/tmpfiles.d $(udev_to)/rules.d
	sed 's|/usr/bin/field2mqtt|$(PREFIX)/bin/field2mqtt|; s|/usr/share/|$(PREFIX)/share/|' systemd/field2mqtt.service \
	    >$(to)/lib/systemd/system/field2mqtt.service
	chmod 644 $(to)/lib/systemd/system/field2mqtt.service
	install -m 644 systemd/field2mqtt.sysusers $(to)/lib/sysusers.d/field2mqtt.conf
	install -m 644 systemd/field2mqtt.tmpfiles $(to)/lib/tmpfiles.d/field2mqtt.conf
	install -m 644 systemd/70-field2mqtt.rules $(udev_to)/rules.d
	install -m 644 README.md $(manual)
	install -m 644 $(wildcard docs/*.md docs/*.png docs/*.svg) $(manual)/docs
	install -m 644 $(wildcard config/*.yaml) $(manual)/config
	install -d $(manual)/config/mosquitto $(manual)/config/dashboards
	install -m 644 $(wildcard config/mosquitto/*) $(manual)/config/mosquitto
	install -m 644 $(wildcard config/dashboards/*) $(manual)/config/dashboards
	install -m 644 $(wildcard drivers/example/*.[ch]) $(manual)/drivers/example
	command -v lowdown >/dev/null || { echo 'no manual pages: lowdown is not installed'; exit 0; }; \
	    $(MAKE) --no-print-directory man && install -d $(to)/share/man/man1 $(to)/share/man/man5 && \
	    install -m 644 build/man/*.1 $(to)/share/man/man1 && install -m 644 build/man/*.5 $(to)/share/man/man5

# The Debian packages, from a copy of the sources, since dpkg-buildpackage writes beside them.
deb:
	.ci/install-packages .ci/packages.deb
	rm -rf build/deb && mkdir -p build/deb/field2mqtt
	tar -c --exclude=./build --exclude=./.git . | tar -x -C build/deb/field2mqtt
	cd build/deb/field2mqtt && env -u MAKEFLAGS -u MFLAGS -u VARIANT -u FIELD2MQTT_BUILD dpkg-buildpackage -us -uc -b $(jobs)
	rm -r build/deb/field2mqtt

# The reference of keys in the manual, which the program prints.
keys: all
	$(exe) schema --markdown >docs/keys.md

# Manual pages, of the same text as the manual.
man_page = mkdir -p $(@D) && docs/make-man $(1) $(version) $(2) $(filter %.md,$^) >$@.$$$$ && mv $@.$$$$ $@
man: build/man/field2mqtt.1 build/man/field2mqtt.yaml.5
build/man/field2mqtt.1: docs/command-line.md docs/make-man gateway/cmd.h
	$(call say,MAN)$(call man_page,field2mqtt 1,'an MQTT gateway for field hardware' '**field2mqtt.yaml**(5)')
build/man/field2mqtt.yaml.5: docs/configuration.md docs/keys.md docs/make-man gateway/cmd.h
	$(call say,MAN)$(call man_page,field2mqtt.yaml 5,'configuration of field2mqtt' '**field2mqtt**(1)')

help:
	@sed -n 's/^#: //p' Makefile

clean:
	rm -rf build

.PHONY: all deps test test-programs check contract e2e fuzz-targets fuzz-smoke coverage bench bench-outbox bench-commands bench-serial bench-publisher soak valgrind demo lint format format-check \
        deb install install-files keys man help clean
.PHONY: fuzz faults coverage-report
