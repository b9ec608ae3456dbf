LIBS_modbus := $(call pkg,--libs libmodbus)
