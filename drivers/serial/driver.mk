LIBS_serial := $(call pkg,--libs libserialport)
