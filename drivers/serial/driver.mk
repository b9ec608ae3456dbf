LIBS_serial := $(call pkg,--libs libserialport libpcre2-8)
